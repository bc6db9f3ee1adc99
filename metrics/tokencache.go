package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// tokenCache is how often a token was remembered, and what it took when it was not.
type tokenCache struct {
	hits, misses    prometheus.Counter
	fetched, failed prometheus.Counter
	took            prometheus.Observer // of misses: a hit costs less than measuring it
}

func newTokenCache(r prometheus.Registerer) tokenCache {
	requests := counters(r, "authentication_token_cache_request_total", "[ALPHA] Tokens of service accounts that were shown, by whether they were remembered.", "status")
	fetches := counters(r, "authentication_token_cache_fetch_total", "[ALPHA] Tokens of service accounts whose signature was verified, by whether it was right.", "status")
	took := histograms(r, "authentication_token_cache_request_duration_seconds", "[ALPHA] How long it took to know a token of a service account that was not remembered.", prometheus.DefBuckets, "status")
	return tokenCache{
		hits: requests.WithLabelValues("hit"), misses: requests.WithLabelValues("miss"),
		fetched: fetches.WithLabelValues("ok"), failed: fetches.WithLabelValues("error"),
		took: took.WithLabelValues("miss"),
	}
}

// TokenCache observes a token: whether it was remembered, else whether its signature is right and how long that took to find out.
func (a *Authentication) TokenCache(hit bool, err error, took time.Duration) {
	if a == nil {
		return
	}
	c := &a.tokens
	if hit {
		c.hits.Inc()
		return
	}
	c.misses.Inc()
	c.took.Observe(took.Seconds())
	if err != nil {
		c.failed.Inc()
	} else {
		c.fetched.Inc()
	}
}

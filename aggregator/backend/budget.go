package backend

import "sync/atomic"

const (
	// Each request earns a fifth of a retry, so that a service that fails altogether gets a fifth more requests and not twice as
	// many; what is saved bridges the failure of one endpoint under load.
	retryCost    = 5
	mostCredit   = 200 * retryCost
	firstCredits = 50 * retryCost
)

// budget bounds the retries of requests that may have reached a backend.
type budget struct{ credit atomic.Int64 }

// earn counts a request.
func (b *budget) earn() {
	if b.credit.Load() < mostCredit {
		b.credit.Add(1)
	}
}

// spend pays for a retry, if there is enough.
func (b *budget) spend() bool {
	if b.credit.Add(-retryCost) >= 0 {
		return true
	}
	b.credit.Add(retryCost)
	return false
}

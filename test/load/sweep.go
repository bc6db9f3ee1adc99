package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// swept is how many objects go at once.
	swept = 10_000
	// probes is how many requests a second are sent meanwhile, half of them reads and half creates.
	probes = 400
)

// sweeps measures how long it takes until the dependents of an owner, and the content of a namespace, are gone, and what
// other clients notice of it.
func sweeps(ctx context.Context, b *bench) error {
	h, err := openHouse(ctx, b.binary)
	if err != nil {
		return err
	}
	defer h.close()
	for _, sweep := range []struct {
		name    string
		prepare func(ctx context.Context) (object, remains string, err error)
	}{
		{"the owner of 10,000", h.family},
		{"a namespace of 10,000", h.crowd},
	} {
		object, remains, err := sweep.prepare(ctx)
		if err != nil {
			return fmt.Errorf("preparing %s: %w", sweep.name, err)
		}
		calm, err := h.probe(ctx, func(begin time.Time) (bool, error) { return time.Since(begin) > b.spell, nil })
		if err != nil {
			return err
		}
		before, begin := h.portico.CPU(), time.Now()
		if _, err := h.do(ctx, http.MethodDelete, h.portico.URL+object, nil); err != nil {
			return err
		}
		busy, err := h.probe(ctx, func(time.Time) (bool, error) { return h.isGone(ctx, remains) })
		if err != nil {
			return err
		}
		took, cpu := time.Since(begin), h.portico.CPU()-before
		b.say("delete "+sweep.name, portico, fmt.Sprintf("all gone after %.2f s, %.2f CPU-seconds; p99 of others %.1f ms, before %.1f ms (%.2f×)",
			took.Seconds(), cpu.Seconds(), ms(busy), ms(calm), float64(busy)/float64(calm)))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// family makes an owner and its dependents.
func (h *house) family(ctx context.Context) (object, remains string, err error) {
	const maps = "/api/v1/namespaces/default/configmaps"
	body, err := h.do(ctx, http.MethodPost, h.portico.URL+maps, []byte(configMap("owner")))
	if err != nil {
		return "", "", err
	}
	var owner metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &owner); err != nil {
		return "", "", err
	}
	reference := fmt.Sprintf(`"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q,"blockOwnerDeletion":true}],"labels":{"swept":"true",`, owner.UID)
	owned := func(name string) string { return strings.Replace(configMap(name), `"labels":{`, reference, 1) }
	return maps + "/owner", maps + "?limit=1&labelSelector=swept", h.fill(ctx, "default", 0, swept, owned)
}

// crowd makes a namespace with many objects.
func (h *house) crowd(ctx context.Context) (object, remains string, err error) {
	if _, err := h.do(ctx, http.MethodPost, h.portico.URL+"/api/v1/namespaces", []byte(`{"metadata":{"name":"crowd"}}`)); err != nil {
		return "", "", err
	}
	return "/api/v1/namespaces/crowd", "/api/v1/namespaces?fieldSelector=metadata.name%3Dcrowd", h.fill(ctx, "crowd", 0, swept, configMap)
}

// isGone tells whether a list is empty.
func (h *house) isGone(ctx context.Context, list string) (bool, error) {
	body, err := h.do(ctx, http.MethodGet, h.portico.URL+list, nil)
	return strings.Contains(string(body), `"items":[]`), err
}

// probe reads and creates at a steady rate until it is over, and returns the p99 of how long that took.
func (h *house) probe(ctx context.Context, over func(begin time.Time) (bool, error)) (time.Duration, error) {
	type answer struct {
		took time.Duration
		err  error
	}
	answers := make(chan answer, maxRequests)
	begin, sent := time.Now(), 0
	for ; sent < maxRequests; sent++ {
		due := begin.Add(time.Second * time.Duration(sent) / probes)
		time.Sleep(time.Until(due))
		if sent%(probes/10) == 0 {
			if done, err := over(begin); done || err != nil {
				if err != nil {
					return 0, err
				}
				break
			}
		}
		go func(n int) {
			method, path, body := http.MethodGet, "/api/v1/namespaces/default", ""
			if n%2 == 1 {
				method, path, body = http.MethodPost, "/api/v1/namespaces/kube-public/configmaps", configMap(fmt.Sprintf("probe%d-%d", begin.UnixNano(), n))
			}
			_, err := h.send(ctx, method, h.portico.URL+path, []byte(body), io.Discard)
			answers <- answer{time.Since(due), err}
		}(sent)
	}
	took := make([]time.Duration, 0, sent)
	for range sent {
		a := <-answers
		if a.err != nil {
			return 0, a.err
		}
		took = append(took, a.took)
	}
	slices.Sort(took)
	return took[len(took)*99/100], nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stored measures memory with objects stored and cached, and what it costs to list them.
func stored(ctx context.Context, b *bench) error {
	h, err := openHouse(ctx, b.binary)
	if err != nil {
		return err
	}
	defer h.close()
	empty, err := h.settled(ctx, h.portico)
	if err != nil {
		return err
	}
	b.say("no objects", portico, fmt.Sprintf("%.0f MB", empty))
	for _, step := range []struct {
		namespace string
		from, to  int
	}{{"default", 0, 10000}, {"kube-public", 10000, 15000}, {"kube-public", 15000, 100000}} {
		begin := time.Now()
		if err := h.fill(ctx, step.namespace, step.from, step.to, configMap); err != nil {
			return err
		}
		rate, full := float64(step.to-step.from)/time.Since(begin).Seconds(), h.portico.Memory()
		rest, err := h.settled(ctx, h.portico)
		if err != nil {
			return err
		}
		b.say(fmt.Sprintf("%d objects of 1.3 KB", step.to), portico,
			fmt.Sprintf("%.0f MB at once, %.0f MB settled, of it %.0f MB without mapped files; %.0f creates/s", full, rest, h.portico.AnonymousMemory(), rate))
	}
	for _, path := range []string{configMaps, "/api/v1/configmaps"} {
		if err := b.list(ctx, h, path); err != nil {
			return err
		}
	}
	return nil
}

// list lists a few times and tells what the dearest of them took in memory.
func (b *bench) list(ctx context.Context, h *house, path string) error {
	const times = 5
	base, err := h.settled(ctx, h.portico)
	if err != nil {
		return err
	}
	if err := h.portico.ForgetPeak(); err != nil {
		return err
	}
	before, begin := h.portico.CPU(), time.Now()
	var size int64
	for range times {
		if size, err = h.send(ctx, http.MethodGet, h.portico.URL+path, nil, io.Discard); err != nil {
			return err
		}
	}
	cpu := (h.portico.CPU() - before) / times
	growth := h.portico.PeakMemory() - base
	b.say("LIST "+path, portico, fmt.Sprintf("%.1f MB, %.3f CPU-seconds, %.3f s; memory grew by %.1f MB (%.2f of the answer)",
		float64(size)/1e6, cpu.Seconds(), time.Since(begin).Seconds()/times, growth, growth*1e6/float64(size)))
	return nil
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"k8s.io/klog/v2"
)

func TestJSONLogsHaveTheNamesOfKubeAPIServer(t *testing.T) {
	var out bytes.Buffer
	useLogFormat(logJSON, &out)
	t.Cleanup(klog.ClearLogger)
	klog.Background().WithName("unit").Info("Ready", "after", 74*time.Millisecond, "level", "high", "object", klog.KRef("ns", "name"))
	klog.Background().V(9).Info("Not asked for")
	klog.Background().Error(errors.New("no such thing"), "Will try again")

	decoder := json.NewDecoder(&out)
	var ready, failed map[string]any
	if err := errors.Join(decoder.Decode(&ready), decoder.Decode(&failed)); err != nil || decoder.More() {
		t.Fatalf("want two objects: %v; more: %v", err, decoder.More())
	}
	for key, want := range map[string]any{"msg": "Ready", "v": 0.0, "after": "74ms", "level": "high"} {
		if ready[key] != want {
			t.Errorf("%s = %v, want %v, in %v", key, ready[key], want, ready)
		}
	}
	if ts, _ := ready["ts"].(float64); time.Since(time.UnixMilli(int64(ts))).Abs() > time.Hour {
		t.Errorf("ts = %v, want milliseconds", ready["ts"])
	}
	if _, ok := ready["caller"].(string); !ok {
		t.Errorf("no caller in %v", ready)
	}
	if _, ok := failed["v"]; ok || failed["err"] != "no such thing" || failed["msg"] != "Will try again" {
		t.Errorf("an error is %v", failed)
	}
}

package admission_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lateHook reads a review, and lets answer say yes to it, when and as far as it likes.
func lateHook(answer func(w http.ResponseWriter, r *http.Request, yes []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		review.Request = nil
		yes, err := json.Marshal(review)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, r, yes)
	}
}

// begun sends the head and half of the body, and lets the caller have the rest.
func begun(w http.ResponseWriter, yes []byte) (rest []byte) {
	half := len(yes) / 2
	_, _ = w.Write(yes[:half])
	_ = http.NewResponseController(w).Flush()
	return yes[half:]
}

const (
	hookTimeout = time.Second
	tooLate     = hookTimeout + 500*time.Millisecond
	atATime     = 20
)

// A write that a webhook must allow is not made when it has not in time, whatever the webhook says later, and however many ask at a time.
func TestNoWriteIsAdmittedByAnAnswerThatComesTooLate(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request, yes []byte){
		"all of it": func(w http.ResponseWriter, _ *http.Request, yes []byte) {
			time.Sleep(tooLate)
			_, _ = w.Write(yes)
		},
		"half of it": func(w http.ResponseWriter, _ *http.Request, yes []byte) {
			rest := begun(w, yes)
			time.Sleep(tooLate)
			_, _ = w.Write(rest)
		},
		"all but the end": func(w http.ResponseWriter, r *http.Request, yes []byte) {
			_, _ = w.Write(yes)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"nothing but the head": func(w http.ResponseWriter, r *http.Request, _ []byte) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"a byte at a time": func(w http.ResponseWriter, _ *http.Request, yes []byte) {
			for _, b := range yes {
				_, _ = w.Write([]byte{b})
				_ = http.NewResponseController(w).Flush()
				time.Sleep(tooLate / time.Duration(len(yes)))
			}
		},
	} {
		for _, kind := range []string{"mutating", "validating after another"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				ns := namespace(t)
				late := httptestTLS(t, lateHook(answer))
				mutatingHook(t, ns, "late", at(late), func(h *registrationv1.MutatingWebhook) {
					h.TimeoutSeconds, h.ObjectSelector = ptr(int32(hookTimeout/time.Second)), strict
					if kind != "mutating" {
						h.FailurePolicy = ptr(registrationv1.Ignore) // so that it comes to the other
					}
				})
				if kind != "mutating" {
					validatingHook(t, ns, "late", at(late), func(h *registrationv1.ValidatingWebhook) {
						h.TimeoutSeconds, h.ObjectSelector = ptr(int32(hookTimeout/time.Second)), strict
					})
				}
				allEnforced(t, ns)
				for name, a := range manyCreates(t, ns, "") {
					if a.code != http.StatusInternalServerError || !strings.Contains(a.message(), `failed calling webhook "late.example.com": `) {
						t.Errorf("%s got %d %s", name, a.code, a.message())
					}
				}
				time.Sleep(2 * (tooLate - hookTimeout))
				if got := stored(t, ns); len(got) > 0 {
					t.Errorf("there are %v all the same", got)
				}
			})
		}
	}
}

// A request may end before its webhooks do. Then nothing is stored, neither at once nor when they say yes.
func TestNoWriteIsMadeAfterTheEndOfItsRequest(t *testing.T) {
	const requestTimeout = 500 * time.Millisecond
	for name, policy := range map[string]registrationv1.FailurePolicyType{"failing closed": registrationv1.Fail, "failing open": registrationv1.Ignore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			late := httptestTLS(t, lateHook(func(w http.ResponseWriter, _ *http.Request, yes []byte) {
				time.Sleep(2 * requestTimeout)
				_, _ = w.Write(yes)
			}))
			mutatingHook(t, ns, "late", at(late), func(h *registrationv1.MutatingWebhook) { h.FailurePolicy, h.ObjectSelector = &policy, strict })
			validatingHook(t, ns, "late", at(late), func(h *registrationv1.ValidatingWebhook) { h.FailurePolicy, h.ObjectSelector = &policy, strict })
			allEnforced(t, ns)
			for name, a := range manyCreates(t, ns, "?timeout="+requestTimeout.String()) {
				if a.code < 500 {
					t.Errorf("%s got %d %s", name, a.code, a.message())
				}
			}
			var leaving sync.WaitGroup
			for i := range atATime {
				leaving.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
					defer cancel()
					body, _ := json.Marshal(strictMap(fmt.Sprint("left", i)))
					request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.url+maps(ns), strings.NewReader(string(body)))
					if err != nil {
						t.Error(err)
						return
					}
					if response, err := http.DefaultClient.Do(request); err == nil {
						_ = response.Body.Close()
						t.Errorf("got %d before leaving", response.StatusCode)
					}
				})
			}
			leaving.Wait()
			time.Sleep(6 * requestTimeout) // for what both hooks would have taken, and more
			if got := stored(t, ns); len(got) > 0 {
				t.Errorf("there are %v all the same", got)
			}
		})
	}
}

// An answer that comes just when the time is over may be in time or not. What the client is told is what was done.
func TestAnAnswerAtTheLastMomentDecidesOnce(t *testing.T) {
	const slack = 20 * time.Millisecond
	ns := namespace(t)
	late := httptestTLS(t, lateHook(func(w http.ResponseWriter, _ *http.Request, yes []byte) {
		time.Sleep(hookTimeout - slack + rand.N(2*slack))
		_, _ = w.Write(yes)
	}))
	validatingHook(t, ns, "late", at(late), func(h *registrationv1.ValidatingWebhook) {
		h.TimeoutSeconds, h.ObjectSelector = ptr(int32(hookTimeout/time.Second)), strict
	})
	allEnforced(t, ns)
	said := manyCreates(t, ns, "")
	time.Sleep(2 * slack)
	there := stored(t, ns)
	for name, a := range said {
		if want := map[int]bool{http.StatusCreated: true, http.StatusInternalServerError: false}; want[a.code] != slices.Contains(there, name) || a.code != 201 && a.code != 500 {
			t.Errorf("%s got %d %s, and it is there: %v", name, a.code, a.message(), slices.Contains(there, name))
		}
	}
}

// strict selects what the hooks of these tests are about.
var strict = &metav1.LabelSelector{MatchLabels: map[string]string{"strict": "yes"}}

func strictMap(name string) map[string]any {
	object := configMap(name, nil)
	object["metadata"].(map[string]any)["labels"] = map[string]string{"strict": "yes"}
	return object
}

// manyCreates creates some at the same time.
func manyCreates(t *testing.T, ns, query string) map[string]*answered {
	t.Helper()
	said := make([]*answered, atATime)
	var all sync.WaitGroup
	for i := range said {
		all.Go(func() { said[i] = do(t, http.MethodPost, maps(ns)+query, strictMap(fmt.Sprint("x", i))) })
	}
	all.Wait()
	byName := map[string]*answered{}
	for i, a := range said {
		byName[fmt.Sprint("x", i)] = a
	}
	return byName
}

// stored are the names of what is there of them.
func stored(t *testing.T, ns string) (names []string) {
	t.Helper()
	a := do(t, http.MethodGet, maps(ns)+"?labelSelector=strict%3Dyes", nil)
	list, err := a.object.ToList()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		names = append(names, o.GetName())
	}
	return names
}

// allEnforced waits until all hooks so far are in force, of both kinds.
func allEnforced(t *testing.T, ns string) {
	t.Helper()
	for _, kind := range []string{"mutating", "validating"} {
		ready := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
		if kind == "mutating" {
			mutatingHook(t, ns, "ready", at(ready.Server), nil)
		} else {
			validatingHook(t, ns, "ready", at(ready.Server), nil)
		}
		enforced(t, ns, ready)
	}
}

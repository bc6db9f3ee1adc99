package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/proxy"
)

func TestAnswersPassUntouched(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "text/odd")
			w.Header().Set("X-Backend", "yes")
			w.Header().Set("Access-Control-Allow-Origin", "*")
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "X-Hop")
				w.Header().Set("X-Hop", "no")
			}
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		}, nil)
		for _, c := range []struct{ method, path, body, want string }{
			{"GET", "/apis/example.com/v1/things?limit=5&continue=a%2Fb", "", "GET /apis/example.com/v1/things?limit=5&continue=a%2Fb "},
			{"POST", "/apis/example.com/v1/things", `{"a":1}`, `POST /apis/example.com/v1/things {"a":1}`},
			{"DELETE", "/apis/example.com/v1/things/a%20b", "", "DELETE /apis/example.com/v1/things/a%20b "},
			{"PATCH", "/apis/example.com/v1/things?x=1;y=2&z=3", "p", "PATCH /apis/example.com/v1/things?z=3 p"},
		} {
			r, _ := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
			answer, err := client(http2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusTeapot || string(body) != c.want {
				t.Errorf("%s %s: answer %d %q, want 418 %q", c.method, c.path, answer.StatusCode, body, c.want)
			}
			if h := answer.Header; h.Get("Content-Type") != "text/odd" || h.Get("X-Backend") != "yes" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("X-Hop") != "" {
				t.Errorf("%s %s: header %v, want the backend's without CORS and hop-by-hop", c.method, c.path, h)
			}
		}
	})
}

func TestTheBackendSeesTheUserAndNoForgery(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		seen := make(chan http.Header, 1)
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.Header }, nil)
		r, _ := http.NewRequest(http.MethodGet, url+"/apis/example.com/v1/things", nil)
		for name, value := range map[string]string{
			"X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Uid": "0", "X-Remote-Extra-Scopes": "all",
			"X_Remote_User": "root", "x_remote-group": "system:masters", "X-Remote_Extra-a": "b", "Some_Name": "x",
			"Authorization": "Bearer secret", "Impersonate-User": "root", "Impersonate-Extra-a": "b",
			"Proxy-Authorization": "Basic x", "Keep-Alive": "5", "Te": "trailers",
			"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "evil", "Audit-Id": "forged",
			"Accept": "application/json", "X-Own": "kept",
		} {
			r.Header[name] = []string{value}
		}
		answer, err := client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		got := <-seen
		delete(got, "User-Agent")
		delete(got, "Content-Length")
		want := http.Header{
			"X-Remote-User":                         {"alice"},
			"X-Remote-Uid":                          {"42"},
			"X-Remote-Group":                        {"developers", "system:authenticated"},
			"X-Remote-Extra-Example.com%2fscope%25": {"one", "two"},
			"X-Forwarded-For":                       {"192.0.2.7, 127.0.0.1"},
			"X-Forwarded-Host":                      {strings.TrimPrefix(url, "https://")},
			"X-Forwarded-Proto":                     {"https"},
			"X-Forwarded-Uri":                       {"/apis/example.com/v1/things"},
			"Audit-Id":                              {"audit-1"},
			"Accept":                                {"application/json"},
			"X-Own":                                 {"kept"},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the backend got\n%v\nwant\n%v", got, want)
		}
	})
}

// HTTP takes the blanks around a value away: who is called almost like somebody else must not become
// that one on the way.
func TestAnIdentityThatWouldChangeOnTheWayIsNotSent(t *testing.T) {
	for name, who := range map[string]*user.DefaultInfo{
		"a name with a blank behind":  {Name: "admin "},
		"a name with a tab before":    {Name: "\tadmin"},
		"a group with a blank before": {Name: "eve", Groups: []string{"developers", " system:masters"}},
		"a UID with a blank":          {Name: "eve", UID: "1 "},
		"an extra value with a blank": {Name: "eve", Extra: map[string][]string{"scopes": {"a", " b"}}},
		"a name with a line break":    {Name: "eve\r\nX-Remote-Group: system:masters"},
		"a name of blanks":            {Name: " "},
	} {
		t.Run(name, func(t *testing.T) {
			cert, roots := certificate(t)
			back := server(t, cert, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("the backend was told user %q, groups %q", r.Header["X-Remote-User"], r.Header["X-Remote-Group"])
			}))
			c := config(newTarget(t, back.Listener.Addr().String(), roots))
			c.UserFrom = func(*http.Request) (user.Info, bool) { return who, true }
			h, err := proxy.New(c)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/things", nil))
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "cannot be told") {
				t.Errorf("got %d %s, want 403", w.Code, w.Body)
			}
		})
	}
}

func TestOurHeadersAndTheBackendsAreMerged(t *testing.T) {
	cert, roots := certificate(t)
	back := server(t, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Audit-Id", r.Header.Get("Audit-Id"))
		w.Header().Set("Cache-Control", "max-age=3")
		w.Header().Set("Warning", `299 - "theirs"`)
	}))
	h, err := proxy.New(config(newTarget(t, back.Listener.Addr().String(), roots)))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Audit-Id", "audit-1")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.Header().Set("Warning", `299 - "ours"`)
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/things", nil))
	got := w.Result().Header
	for name, want := range map[string][]string{
		"Audit-Id":      {"audit-1"},
		"Cache-Control": {"max-age=3"},
		"Warning":       {`299 - "ours"`, `299 - "theirs"`},
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestNewNamesWhatItNeeds(t *testing.T) {
	if _, err := proxy.New(proxy.Config{}); err == nil {
		t.Error("a proxy without a backend was made")
	}
}

package serviceaccount_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/portico-api/portico/handler/authentication/serviceaccount"
)

const issuer = "https://issuer.example.com"

// objects are what tokens are bound to.
type objects map[string]serviceaccount.State

func (o objects) Version(kind serviceaccount.Kind, namespace, name string) (int64, bool) {
	state, ok := o[string(kind)+" "+namespace+"/"+name]
	return state.Revision, ok
}

func (o objects) State(_ context.Context, kind serviceaccount.Kind, namespace, name string) (serviceaccount.State, error) {
	state, ok := o[string(kind)+" "+namespace+"/"+name]
	if !ok {
		return state, errors.New("not found")
	}
	return state, nil
}

const robot = "ServiceAccount home/robot"

func newObjects() objects {
	return objects{
		robot:                {UID: "u1", Revision: 1},
		"Secret home/sealed": {UID: "u2", Revision: 2},
		"Pod home/worker":    {UID: "u3", Revision: 3},
		"Node /rack":         {UID: "u4", Revision: 4},
	}
}

// keyFile writes a private key.
func keyFile(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// house is an issuer and a verifier that trusts it.
type house struct {
	issuer   *serviceaccount.Issuer
	verifier *serviceaccount.Verifier
	objects  objects
	now      time.Time
}

func newHouse(t testing.TB, key crypto.Signer, more ...serviceaccount.PublicKey) *house {
	t.Helper()
	h := &house{objects: newObjects(), now: time.Now()}
	var err error
	if h.issuer, err = serviceaccount.NewIssuer(issuer, keyFile(t, key)); err != nil {
		t.Fatal(err)
	}
	h.verifier = serviceaccount.NewVerifier(serviceaccount.Config{
		Issuers: []string{issuer}, Keys: append([]serviceaccount.PublicKey{h.issuer.Key()}, more...), Audiences: []string{issuer},
		Objects: h.objects, Now: func() time.Time { return h.now },
	})
	return h
}

func (h *house) issue(t testing.TB, r serviceaccount.Request) string {
	t.Helper()
	if r.Account.Name == "" {
		r.Namespace, r.Account = "home", serviceaccount.Reference{Name: "robot", UID: "u1"}
	}
	if r.Audiences == nil {
		r.Audiences = []string{issuer}
	}
	if r.Lifetime == 0 {
		r.Lifetime = time.Hour
	}
	token, _, err := h.issuer.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// says is the outcome of a token: a user, "nobody" for no opinion, or an error.
func (h *house) says(ctx context.Context, token string) string {
	response, ok, err := h.verifier.AuthenticateToken(ctx, token)
	switch {
	case err != nil:
		return err.Error()
	case !ok:
		return "nobody"
	}
	return response.User.GetName()
}

const (
	itIsRobot   = "system:serviceaccount:home:robot"
	invalidated = "service account token has been invalidated"
)

func TestATokenStandsForItsAccount(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"RS256": rsaKey, "ES256": newKey(t, elliptic.P256()), "ES384": newKey(t, elliptic.P384()), "ES512": newKey(t, elliptic.P521()),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, key)
			token := h.issue(t, serviceaccount.Request{Pod: &serviceaccount.Reference{Name: "worker", UID: "u3"}, Node: &serviceaccount.Reference{Name: "rack", UID: "u4"}})
			response, ok, err := h.verifier.AuthenticateToken(t.Context(), token)
			if err != nil || !ok {
				t.Fatalf("got %v, %v", ok, err)
			}
			u := response.User
			if u.GetName() != itIsRobot || u.GetUID() != "u1" || !reflect.DeepEqual([]string(response.Audiences), []string{issuer}) ||
				!reflect.DeepEqual(u.GetGroups(), []string{"system:serviceaccounts", "system:serviceaccounts:home", "system:authenticated"}) {
				t.Errorf("got %+v for %q", u, response.Audiences)
			}
			extra := u.GetExtra()
			for key, want := range map[string]string{"pod-name": "worker", "pod-uid": "u3", "node-name": "rack", "node-uid": "u4", "credential-id": "JTI="} {
				if got := extra["authentication.kubernetes.io/"+key]; len(got) != 1 || !strings.HasPrefix(got[0], want) {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			if header := part(t, token, 0); header["alg"] != name || header["kid"] != h.issuer.Key().ID {
				t.Errorf("the header is %v", header)
			}
		})
	}
}

// part decodes the header or the claims of a token.
func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	var decoded map[string]any
	if err == nil {
		err = json.Unmarshal(text, &decoded)
	}
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestATokenDiesWithWhatItIsBoundTo(t *testing.T) {
	bound := serviceaccount.Request{Secret: &serviceaccount.Reference{Name: "sealed", UID: "u2"}}
	onNode := serviceaccount.Request{Node: &serviceaccount.Reference{Name: "rack", UID: "u4"}}
	for name, c := range map[string]struct {
		request serviceaccount.Request
		change  func(h *house)
		want    string
	}{
		"nothing changes":                    {bound, func(*house) {}, itIsRobot},
		"the account is written to":          {bound, func(h *house) { h.objects[robot] = serviceaccount.State{UID: "u1", Revision: 9} }, itIsRobot},
		"the account is deleted":             {bound, func(h *house) { delete(h.objects, robot) }, invalidated},
		"the account is another of its name": {bound, func(h *house) { h.objects[robot] = serviceaccount.State{UID: "u9", Revision: 9} }, invalidated},
		"the account's deletion has begun":   {bound, func(h *house) { h.objects[robot] = serviceaccount.State{UID: "u1", Revision: 9, Deleted: h.now} }, itIsRobot},
		"its deletion began over a minute ago": {bound, func(h *house) {
			h.objects[robot] = serviceaccount.State{UID: "u1", Revision: 9, Deleted: h.now.Add(-2 * time.Minute)}
		}, invalidated},
		"the secret is deleted":           {bound, func(h *house) { delete(h.objects, "Secret home/sealed") }, invalidated},
		"the node is deleted":             {onNode, func(h *house) { delete(h.objects, "Node /rack") }, invalidated},
		"an hour passes":                  {bound, func(h *house) { h.now = h.now.Add(time.Hour) }, "service account token has expired"},
		"an hour passes but for a moment": {bound, func(h *house) { h.now = h.now.Add(time.Hour - 2*time.Second) }, itIsRobot},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, newKey(t, elliptic.P256()))
			token := h.issue(t, c.request)
			for range 2 { // the second time it is remembered
				if got := h.says(t.Context(), token); got != itIsRobot {
					t.Fatalf("before: got %q", got)
				}
			}
			c.change(h)
			for range 2 {
				if got := h.says(t.Context(), token); got != c.want {
					t.Errorf("after: got %q, want %q", got, c.want)
				}
			}
		})
	}
}

// A token that is remembered while its account is on its way out must not outlive it.
func TestTheEndOfMourningIsNoticedWithoutAChange(t *testing.T) {
	h := newHouse(t, newKey(t, elliptic.P256()))
	token := h.issue(t, serviceaccount.Request{})
	h.objects[robot] = serviceaccount.State{UID: "u1", Revision: 5, Deleted: h.now}
	if got := h.says(t.Context(), token); got != itIsRobot {
		t.Fatalf("got %q", got)
	}
	h.now = h.now.Add(2 * time.Minute)
	if got := h.says(t.Context(), token); got != invalidated {
		t.Errorf("got %q, want %q", got, invalidated)
	}
}

func TestATokenIsForItsAudiences(t *testing.T) {
	h := newHouse(t, newKey(t, elliptic.P256()))
	ours, theirs := h.issue(t, serviceaccount.Request{}), h.issue(t, serviceaccount.Request{Audiences: []string{"theirs", "others"}})
	asking := func(audience string) context.Context {
		return authenticator.WithAudiences(t.Context(), authenticator.Audiences{audience})
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		token string
		want  string
	}{
		{"ours for us", t.Context(), ours, itIsRobot},
		{"theirs for us", t.Context(), theirs, "invalid for the target audiences"},
		{"theirs for them", asking("theirs"), theirs, itIsRobot},
		{"ours for them", asking("theirs"), ours, "invalid for the target audiences"},
	} {
		if got := h.says(c.ctx, c.token); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestATokenThatIsNotOursIsNobodys(t *testing.T) {
	h, other := newHouse(t, newKey(t, elliptic.P256())), newHouse(t, newKey(t, elliptic.P256()))
	forged := other.issue(t, serviceaccount.Request{})
	good := h.issue(t, serviceaccount.Request{})
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	foreign, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "https://elsewhere", "sub": itIsRobot}).SignedString(newKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
	for name, c := range map[string]struct{ token, want string }{
		"no JWT":                        {"abcdef", "nobody"},
		"three parts of nothing":        {"a.b.c", "nobody"},
		"another issuer's":              {foreign, "nobody"},
		"signed by another key":         {forged, "the signature of the token cannot be verified"},
		"its signature cut":             {head + "." + payload + "." + signature[:10], "the signature of the token cannot be verified"},
		"not signed at all":             {none, "the signature of the token cannot be verified"},
		"signed, and then said of more": {head + "." + payload[:len(payload)-4] + "fQ" + "." + signature, ""},
	} {
		if got := h.says(t.Context(), c.token); c.want != "" && got != c.want || strings.HasPrefix(got, "system:") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAFormerKeyIsStillVerifiedWith(t *testing.T) {
	former := newKey(t, elliptic.P256())
	before := newHouse(t, former)
	token := before.issue(t, serviceaccount.Request{})
	keys, err := serviceaccount.ReadPublicKeys(keyFile(t, former))
	if err != nil {
		t.Fatal(err)
	}
	after := newHouse(t, newKey(t, elliptic.P256()), keys...)
	if got := after.says(t.Context(), token); got != itIsRobot {
		t.Errorf("got %q", got)
	}
}

func TestALegacyTokenLivesInItsSecret(t *testing.T) {
	h := newHouse(t, newKey(t, elliptic.P256()))
	token, err := h.issuer.IssueLegacy("home", serviceaccount.Reference{Name: "robot", UID: "u1"}, "sealed")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		secret serviceaccount.State
		want   string
	}{
		{"a secret that holds it", serviceaccount.State{UID: "u2", Revision: 5, Token: token}, itIsRobot},
		{"a secret that holds another", serviceaccount.State{UID: "u2", Revision: 6, Token: "other"}, invalidated},
	} {
		h.objects["Secret home/sealed"] = c.secret
		if got := h.says(t.Context(), token); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	delete(h.objects, "Secret home/sealed")
	if got := h.says(t.Context(), token); got != invalidated {
		t.Errorf("no secret: got %q", got)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	dir := t.TempDir()
	garbage, small := filepath.Join(dir, "garbage"), filepath.Join(dir, "small")
	os.WriteFile(garbage, []byte("garbage"), 0o600)
	os.WriteFile(small, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), 0o600)
	p224 := keyFile(t, newKey(t, elliptic.P224()))
	for _, file := range []string{garbage, small, p224, filepath.Join(dir, "none")} {
		if _, err := serviceaccount.NewIssuer(issuer, file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("signing with %s: got %v", file, err)
		}
		if _, err := serviceaccount.ReadPublicKeys(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("verifying with %s: got %v", file, err)
		}
	}
}

func FuzzAuthenticateToken(f *testing.F) {
	h := newHouse(f, newKey(f, elliptic.P256()))
	good := h.issue(f, serviceaccount.Request{})
	for _, seed := range []string{"", ".", "..", "a.b.c", good, good + ".", strings.ToUpper(good), good[:len(good)-1], strings.Repeat(".", 1000),
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":null}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+issuer+`"}`)) + ".",
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":["x"]}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+issuer+`","kubernetes.io":7}`)) + ".AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if got := h.says(context.Background(), token); got == itIsRobot && token != good {
			// The last character of a signature has bits that nobody reads.
			if strings.TrimSuffix(token, token[len(token)-1:]) != strings.TrimSuffix(good, good[len(good)-1:]) {
				t.Errorf("%q is taken for a token", token)
			}
		}
	})
}

func BenchmarkAuthenticateToken(b *testing.B) {
	h := newHouse(b, newKey(b, elliptic.P256()))
	token := h.issue(b, serviceaccount.Request{})
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok, err := h.verifier.AuthenticateToken(b.Context(), token); !ok || err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		var tokens []string
		for i := range 64 {
			tokens = append(tokens, h.issue(b, serviceaccount.Request{Audiences: []string{issuer, fmt.Sprint(i)}}))
		}
		i := 0
		for b.Loop() {
			fresh := serviceaccount.NewVerifier(serviceaccount.Config{Issuers: []string{issuer}, Keys: []serviceaccount.PublicKey{h.issuer.Key()}, Audiences: []string{issuer}, Objects: h.objects})
			if _, ok, err := fresh.AuthenticateToken(b.Context(), tokens[i%64]); !ok || err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newRequest(t testing.TB, template *x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func newAuthority(t testing.TB, ends time.Time) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{Certificate: cert, Key: key}
}

func TestSignersSignWhatTheyAreFor(t *testing.T) {
	node := pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}
	const client, kubelet, serving = certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName
	for name, c := range map[string]struct {
		signer  string
		request x509.CertificateRequest
		usages  []certificatesv1.KeyUsage
		want    string
	}{
		"a user":                        {client, x509.CertificateRequest{Subject: pkix.Name{CommonName: "u"}}, []certificatesv1.KeyUsage{"client auth", "digital signature"}, ""},
		"a user who would serve":        {client, x509.CertificateRequest{Subject: pkix.Name{CommonName: "u"}}, []certificatesv1.KeyUsage{"client auth", "server auth"}, `usage "server auth" is not allowed by this signer`},
		"a user who is none":            {client, x509.CertificateRequest{Subject: pkix.Name{CommonName: "u"}}, []certificatesv1.KeyUsage{"digital signature"}, `usages did not include "client auth"`},
		"a kubelet":                     {kubelet, x509.CertificateRequest{Subject: node}, []certificatesv1.KeyUsage{"client auth"}, ""},
		"a kubelet by another name":     {kubelet, x509.CertificateRequest{Subject: pkix.Name{CommonName: "a", Organization: []string{"system:nodes"}}}, []certificatesv1.KeyUsage{"client auth"}, "subject common name does not begin with system:node:"},
		"a kubelet of another group":    {kubelet, x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes", "system:masters"}}}, []certificatesv1.KeyUsage{"client auth"}, "subject organization is not system:nodes"},
		"a kubelet with names":          {kubelet, x509.CertificateRequest{Subject: node, DNSNames: []string{"a"}}, []certificatesv1.KeyUsage{"client auth"}, "subject alternative names are not allowed"},
		"a kubelet that serves":         {serving, x509.CertificateRequest{Subject: node, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, []certificatesv1.KeyUsage{"server auth", "key encipherment"}, ""},
		"a kubelet that serves nowhere": {serving, x509.CertificateRequest{Subject: node}, []certificatesv1.KeyUsage{"server auth"}, "subject alternative names must be DNS names or IP addresses, and at least one"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &csr{Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: c.signer, Request: newRequest(t, &c.request), Usages: c.usages}}
			authority := newAuthority(t, time.Now().Add(1000*time.Hour))
			signed, err := NewSigner(nil, func() (*Authority, error) { return authority, nil }).sign(r)
			if c.want != "" {
				if err == nil || err.Error() != c.want {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(signed)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := cert.CheckSignatureFrom(authority.Certificate); err != nil || cert.Subject.CommonName != c.request.Subject.CommonName || cert.IsCA {
				t.Errorf("got a certificate of %v, %v", cert.Subject, err)
			}
			if !cert.NotAfter.Equal(authority.Certificate.NotAfter) {
				t.Errorf("it ends at %v, want with its authority at %v", cert.NotAfter, authority.Certificate.NotAfter)
			}
		})
	}
}

// What nobody looked at is not certified: another part of a subject may mean something to whom it is shown.
func TestOnlyWhoAndOfWhichGroupsIsCertified(t *testing.T) {
	uid := pkix.AttributeTypeAndValue{Type: []int{1, 3, 6, 1, 4, 1, 57683, 2}, Value: "of-somebody-else"}
	request := newRequest(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "u", Organization: []string{"g"}, ExtraNames: []pkix.AttributeTypeAndValue{uid}}})
	authority := newAuthority(t, time.Now().Add(time.Hour))
	s := NewSigner(nil, func() (*Authority, error) { return authority, nil })
	signed, err := s.sign(&csr{Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: request, SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
	}})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(signed)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := cert.Subject.String(); got != "CN=u,O=g" {
		t.Errorf("got a certificate of %s", got)
	}
}

func TestConditionsByTheStatusAreTheSigners(t *testing.T) {
	old := &csr{Status: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{
		{Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Message: "why"},
	}}}
	same, text, other := old.DeepCopy(), old.DeepCopy(), old.DeepCopy()
	text.Status.Conditions[0].Message = "another reason"
	other.Status.Conditions = append(other.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: "Other"})
	if signs(same, old) || !signs(text, old) || !signs(other, old) {
		t.Errorf("got %t, %t, %t, want that only changes need the right to sign", signs(same, old), signs(text, old), signs(other, old))
	}
}

func TestAVerdictIsFinal(t *testing.T) {
	condition := func(t certificatesv1.RequestConditionType, status corev1.ConditionStatus, reason string) certificatesv1.CertificateSigningRequestCondition {
		return certificatesv1.CertificateSigningRequestCondition{Type: t, Status: status, Reason: reason}
	}
	approved, denied := condition("Approved", "True", "a"), condition("Denied", "True", "d")
	for name, c := range map[string]struct {
		old, now []certificatesv1.CertificateSigningRequestCondition
		want     string
	}{
		"a first verdict": {nil, []certificatesv1.CertificateSigningRequestCondition{approved}, ""},
		"both verdicts":   {nil, []certificatesv1.CertificateSigningRequestCondition{approved, denied}, "status.conditions: Invalid value: \"Approved, Denied\": Approved and Denied conditions are mutually exclusive"},
		"another one":     {[]certificatesv1.CertificateSigningRequestCondition{approved}, []certificatesv1.CertificateSigningRequestCondition{denied}, `status.conditions: Forbidden: updates may not remove a condition of type "Approved"`},
		"none any more":   {[]certificatesv1.CertificateSigningRequestCondition{denied}, nil, `status.conditions: Forbidden: updates may not remove a condition of type "Denied"`},
		"other words":     {[]certificatesv1.CertificateSigningRequestCondition{approved}, []certificatesv1.CertificateSigningRequestCondition{condition("Approved", "True", "b")}, `status.conditions: Forbidden: updates may not modify a condition of type "Approved"`},
		"half a verdict":  {nil, []certificatesv1.CertificateSigningRequestCondition{condition("Approved", "Unknown", "")}, `status.conditions[0].status: Unsupported value: "Unknown": supported values: "True"`},
		"a verdict twice": {nil, []certificatesv1.CertificateSigningRequestCondition{approved, approved}, `status.conditions[1].type: Duplicate value: "Approved"`},
		"of no type":      {nil, []certificatesv1.CertificateSigningRequestCondition{condition("", "True", "")}, "status.conditions[0].type: Required value"},
	} {
		old, now := &csr{}, &csr{}
		old.Status.Conditions, now.Status.Conditions = c.old, c.now
		got := ""
		if problems := validateConditionsUpdate(now, old); len(problems) > 0 {
			got = problems[0].Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestACertificateInAStatusIsOne(t *testing.T) {
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newAuthority(t, time.Now().Add(time.Hour)).Certificate.Raw})
	for name, c := range map[string]struct {
		old, now []byte
		ok       bool
	}{
		"one":          {nil, cert, true},
		"a chain":      {nil, append(append([]byte{}, cert...), cert...), true},
		"words":        {nil, []byte("words"), false},
		"a key":        {nil, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), false},
		"with headers": {nil, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: []byte("x")}), false},
		"the same":     {cert, cert, true},
		"another one":  {cert, append(append([]byte{}, cert...), cert...), false},
	} {
		old, now := &csr{}, &csr{}
		old.Status.Certificate, now.Status.Certificate = c.old, c.now
		if problems := validateStatusUpdate(now, old); (len(problems) == 0) != c.ok {
			t.Errorf("%s: got %v", name, problems)
		}
	}
}

func TestARequestThatIsOverIsClearedAway(t *testing.T) {
	made := time.Now().Truncate(time.Second)
	at := func(d time.Duration) metav1.Time { return metav1.NewTime(made.Add(d)) }
	for name, c := range map[string]struct {
		conditions []certificatesv1.CertificateSigningRequestCondition
		want       time.Duration
	}{
		"nobody has said anything":  {nil, 24 * time.Hour},
		"denied":                    {[]certificatesv1.CertificateSigningRequestCondition{{Type: "Denied", LastUpdateTime: at(time.Minute)}}, 61 * time.Minute},
		"approved, and then failed": {[]certificatesv1.CertificateSigningRequestCondition{{Type: "Failed", LastUpdateTime: at(2 * time.Hour)}, {Type: "Approved", LastUpdateTime: at(time.Minute)}}, 3 * time.Hour},
		"approved after two days":   {[]certificatesv1.CertificateSigningRequestCondition{{Type: "Approved", LastUpdateTime: at(48 * time.Hour)}}, 49 * time.Hour},
		"noted by somebody else":    {[]certificatesv1.CertificateSigningRequestCondition{{Type: "Seen", LastUpdateTime: at(time.Minute)}}, 24 * time.Hour},
	} {
		r := &csr{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(0)}}
		r.Status.Conditions = c.conditions
		if got := endOf(r).Sub(made); got != c.want {
			t.Errorf("%s: it stays for %v, want %v", name, got, c.want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(newRequest(f, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "u"}}))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	f.Add([]byte("none"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if request, err := ParseRequest(data); err == nil && request == nil {
			t.Error("got neither a request nor an error")
		}
	})
}

package certificates

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestWhatKubeletsAskForIsRecognized(t *testing.T) {
	nodes := []string{"system:nodes"}
	node := x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: nodes}}
	usual := []certificatesv1.KeyUsage{"digital signature", "client auth"}
	for _, c := range []struct {
		name    string
		user    string
		request x509.CertificateRequest
		usages  []certificatesv1.KeyUsage
		want    string // rights that would do
	}{
		{"a node's own", "system:node:a", node, usual, "selfnodeclient nodeclient"},
		{"a node's, by somebody else", "bootstrapper", node, usual, "nodeclient"},
		{"with a key that enciphers", "x", node, append(usual, "key encipherment"), "nodeclient"},
		{"without a signature", "x", node, []certificatesv1.KeyUsage{"client auth"}, ""},
		{"that would serve, too", "x", node, append(usual, "server auth"), ""},
		{"with a name", "x", x509.CertificateRequest{Subject: node.Subject, DNSNames: []string{"a"}}, usual, ""},
		{"of no node", "a", x509.CertificateRequest{Subject: pkix.Name{CommonName: "a", Organization: nodes}}, usual, ""},
		{"of another group", "system:node:a", x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:masters"}}}, usual, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &csr{Spec: certificatesv1.CertificateSigningRequestSpec{
				SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName, Username: c.user, Request: newRequest(t, &c.request), Usages: c.usages,
			}}
			var got []string
			for _, right := range rightsToApproval(r) {
				got = append(got, right.subresource)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}

func TestOnlyOpenRequestsOfKubeletsAreApproved(t *testing.T) {
	open := func(change func(r *csr)) bool {
		r := &csr{Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName}}
		change(r)
		return isOpen(r)
	}
	verdict := func(of certificatesv1.RequestConditionType) func(r *csr) {
		return func(r *csr) {
			r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: of, Status: corev1.ConditionTrue}}
		}
	}
	if !open(func(*csr) {}) {
		t.Error("a new request of a kubelet is not open")
	}
	for name, change := range map[string]func(r *csr){
		"another signer's": func(r *csr) { r.Spec.SignerName = certificatesv1.KubeAPIServerClientSignerName },
		"an issued one":    func(r *csr) { r.Status.Certificate = []byte("x") },
		"an approved one":  verdict(certificatesv1.CertificateApproved),
		"a denied one":     verdict(certificatesv1.CertificateDenied),
	} {
		if open(change) {
			t.Errorf("%s is open", name)
		}
	}
}

type answer struct {
	decision authorizer.Decision
	err      error
	asked    authorizer.Attributes
}

func (a *answer) Authorize(_ context.Context, attributes authorizer.Attributes) (authorizer.Decision, string, error) {
	a.asked = attributes
	return a.decision, "", a.err
}

func TestTheApproverAsksForWhoeverAsks(t *testing.T) {
	r := &csr{Spec: certificatesv1.CertificateSigningRequestSpec{
		Username: "u", UID: "1", Groups: []string{"g"}, Extra: map[string]certificatesv1.ExtraValue{"k": {"v"}},
	}}
	for _, c := range []struct {
		answer answer
		want   bool
		fails  bool
	}{
		{answer: answer{decision: authorizer.DecisionAllow}, want: true},
		{answer: answer{decision: authorizer.DecisionAllow, err: errors.New("one of several")}, want: true},
		{answer: answer{decision: authorizer.DecisionNoOpinion}},
		{answer: answer{decision: authorizer.DecisionDeny, err: errors.New("broken")}, fails: true},
	} {
		got, err := NewApprover(nil, &c.answer).allows(t.Context(), r, "nodeclient")
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%v, %v: got %v, %v", c.answer.decision, c.answer.err, got, err)
		}
		a := c.answer.asked
		u := a.GetUser()
		if u.GetName() != "u" || u.GetUID() != "1" || u.GetGroups()[0] != "g" || u.GetExtra()["k"][0] != "v" || !a.IsResourceRequest() ||
			a.GetVerb()+" "+a.GetResource()+"."+a.GetAPIGroup()+"/"+a.GetSubresource() != "create certificatesigningrequests.certificates.k8s.io/nodeclient" {
			t.Errorf("asked %+v", a)
		}
	}
}

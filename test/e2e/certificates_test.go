package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/serving/pki"
)

// applicant is who wants a certificate: a key, and a request for it.
type applicant struct {
	name    string
	keyFile string
	request []byte
}

func newApplicant(t *testing.T, name string, organizations ...string) *applicant {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: organizations}}, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := &applicant{name: name, keyFile: filepath.Join(t.TempDir(), "key"), request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})}
	if err := os.WriteFile(a.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// manifest asks for a certificate of a signer.
func (a *applicant) manifest(signer, usages string) string {
	return "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: " + a.name + "}\nspec:\n  request: " +
		base64.StdEncoding.EncodeToString(a.request) + "\n  signerName: " + signer + "\n  expirationSeconds: 3600\n  usages: [" + usages + "]\n"
}

const clientSigner = "kubernetes.io/kube-apiserver-client"

func TestAnApprovedRequestBecomesAUser(t *testing.T) {
	p := startPortico(t)
	carol := newApplicant(t, "carol", "developers")
	p.kubectlIn(t, carol.manifest(clientSigner, "client auth"), "create", "-f", "-")
	if got := p.kubectl(t, "get", "csr", "carol"); !strings.Contains(got, clientSigner) || !strings.Contains(got, "portico-admin") || !strings.Contains(got, "60m") || !strings.Contains(got, "Pending") {
		t.Errorf("kubectl get csr shows %s", got)
	}
	p.kubectl(t, "certificate", "approve", "carol")
	p.untilKubectl(t, "Approved,Issued", "get", "csr", "carol")
	encoded := p.kubectl(t, "get", "csr", "carol", "-o", "jsonpath={.status.certificate}")
	signed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(signed)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(cert.NotAfter); left > time.Hour || left < 58*time.Minute {
		t.Errorf("the certificate lives for %v, want the hour that was asked for", left)
	}

	certFile := filepath.Join(t.TempDir(), "cert")
	if err := os.WriteFile(certFile, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	as := *p
	as.home, as.kubeconfig = t.TempDir(), filepath.Join(t.TempDir(), "kubeconfig")
	if err := (pki.Kubeconfig{Server: p.url, CAFile: p.pki("ca.crt"), Client: pki.Pair{CertFile: certFile, KeyFile: carol.keyFile}}).Write(as.kubeconfig); err != nil {
		t.Fatal(err)
	}
	if got := as.kubectl(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"); !strings.Contains(got, "carol") || !strings.Contains(got, "developers") {
		t.Errorf("with the certificate one is %s", got)
	}
	p.kubectl(t, "create", "rolebinding", "carol", "--clusterrole=view", "--user=carol")
	as.kubectl(t, "get", "configmaps")
	if got := p.kubectl(t, "describe", "csr", "carol"); !strings.Contains(got, "Approved,Issued") {
		t.Errorf("kubectl describe shows %s", got)
	}
}

func TestARequestForACertificateIsHeldToTheRules(t *testing.T) {
	p := startPortico(t)
	const key = "key encipherment, digital signature, client auth"
	for name, c := range map[string]struct {
		manifest string
		want     string
	}{
		"the group that may do everything": {newApplicant(t, "m", "system:masters").manifest(clientSigner, key), "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"},
		"no request":                       {strings.Replace(newApplicant(t, "no-request").manifest(clientSigner, key), "request: ", "request: bm9uZQ== #", 1), "spec.request: Invalid value"},
		"a signer without a domain":        {newApplicant(t, "o").manifest("me", key), "spec.signerName: Invalid value"},
		"the signer of old":                {newApplicant(t, "l").manifest("kubernetes.io/legacy-unknown", key), "spec.signerName: Invalid value"},
		"a usage that is none":             {newApplicant(t, "u").manifest(clientSigner, "everything"), "spec.usages[0]: Unsupported value"},
		"no usage":                         {newApplicant(t, "v").manifest(clientSigner, ""), "spec.usages: Required value"},
		"a usage twice":                    {newApplicant(t, "w").manifest(clientSigner, "client auth, client auth"), "spec.usages[1]: Duplicate value"},
		"a life too short":                 {strings.Replace(newApplicant(t, "s").manifest(clientSigner, key), "3600", "60", 1), "spec.expirationSeconds: Invalid value"},
	} {
		if _, errs, err := p.tryKubectl(t, c.manifest, "create", "-f", "-"); err == nil || !strings.Contains(errs, c.want) {
			t.Errorf("%s: got %v %s, want %q", name, err, errs, c.want)
		}
	}

	p.kubectlIn(t, newApplicant(t, "denied").manifest(clientSigner, key), "create", "-f", "-")
	p.kubectl(t, "certificate", "deny", "denied")
	if _, errs, err := p.tryKubectl(t, "", "certificate", "approve", "denied"); err == nil {
		t.Errorf("what was denied is approved: %s", errs)
	}
	p.kubectlIn(t, newApplicant(t, "server").manifest(clientSigner, "server auth"), "create", "-f", "-")
	p.kubectl(t, "certificate", "approve", "server")
	p.untilKubectl(t, "Approved,Failed", "get", "csr", "server")

	// Who may write requests may neither approve them nor say what they were for.
	p.kubectl(t, "create", "clusterrole", "csr", "--verb=*", "--resource=certificatesigningrequests,certificatesigningrequests/approval,certificatesigningrequests/status")
	p.kubectl(t, "create", "clusterrolebinding", "csr", "--clusterrole=csr", "--user=mallory")
	mallory := p.as(t, "mallory")
	mallory.kubectlIn(t, newApplicant(t, "mine", "admins").manifest(clientSigner, key), "create", "-f", "-")
	if _, errs, err := mallory.tryKubectl(t, "", "certificate", "approve", "mine"); err == nil || !strings.Contains(errs, "user not permitted to approve requests with signerName") {
		t.Errorf("mallory approves: %v %s", err, errs)
	}
	for _, patch := range []string{`{"spec":{"username":"admin"}}`, `{"status":{"conditions":[{"type":"Approved","status":"True"}]}}`} {
		mallory.kubectl(t, "patch", "csr", "mine", "--type=merge", "-p", patch)
		mallory.tryKubectl(t, "", "patch", "csr", "mine", "--subresource=status", "--type=merge", "-p", patch)
	}
	if got := p.kubectl(t, "get", "csr", "mine", "-o", "jsonpath={.spec.username} {.status}"); got != "mallory {}" {
		t.Errorf("mallory has made of the request %s", got)
	}
	p.kubectl(t, "create", "clusterrolebinding", "approver", "--clusterrole=system:certificates.k8s.io:kube-apiserver-client-approver", "--user=mallory")
	mallory.kubectl(t, "certificate", "approve", "mine")
}

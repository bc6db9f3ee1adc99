package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

type errs = field.ErrorList

// minExpirationSeconds is the shortest life that a certificate can be asked for.
const minExpirationSeconds = 600

// ParseRequest reads the request in PEM that a client sent.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return request, request.CheckSignature()
}

func validate(r *csr) errs {
	var problems errs
	spec := field.NewPath("spec")
	if _, err := ParseRequest(r.Spec.Request); err != nil {
		problems = append(problems, field.Invalid(spec.Child("request"), r.Spec.Request, err.Error()))
	}
	if len(r.Spec.Usages) == 0 {
		problems = append(problems, field.Required(spec.Child("usages"), ""))
	}
	seen := map[certificatesv1.KeyUsage]bool{}
	for i, usage := range r.Spec.Usages {
		path := spec.Child("usages").Index(i)
		if !isUsage(usage) {
			problems = append(problems, field.NotSupported(path, usage, usages()))
		}
		if seen[usage] {
			problems = append(problems, field.Duplicate(path, usage))
		}
		seen[usage] = true
	}
	if r.Spec.SignerName == "kubernetes.io/legacy-unknown" {
		problems = append(problems, field.Invalid(spec.Child("signerName"), r.Spec.SignerName, "the legacy signerName is not allowed via this API version"))
	} else {
		problems = append(problems, validateSignerName(r.Spec.SignerName, spec.Child("signerName"))...)
	}
	if seconds := r.Spec.ExpirationSeconds; seconds != nil && *seconds < minExpirationSeconds {
		problems = append(problems, field.Invalid(spec.Child("expirationSeconds"), *seconds, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return append(problems, validateConditions(r)...)
}

// validateSignerName: example.com/name, where both parts are DNS subdomains and the first one has a dot.
func validateSignerName(name string, path *field.Path) errs {
	if name == "" {
		return errs{field.Required(path, "")}
	}
	domain, rest, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(rest, "/") {
		return errs{field.Invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	var problems errs
	for _, message := range validation.IsDNS1123Subdomain(domain) {
		problems = append(problems, field.Invalid(path, domain, "validating label: "+message))
	}
	if !strings.Contains(domain, ".") {
		problems = append(problems, field.Invalid(path, domain, "should be a domain with at least two segments separated by dots"))
	}
	for _, message := range validation.IsDNS1123Subdomain(rest) {
		problems = append(problems, field.Invalid(path, rest, "validating path: "+message))
	}
	return problems
}

func validateConditions(r *csr) errs {
	var problems errs
	seen := map[certificatesv1.RequestConditionType]bool{}
	path := field.NewPath("status", "conditions")
	for i, c := range r.Status.Conditions {
		at := path.Index(i)
		switch {
		case c.Type == "":
			problems = append(problems, field.Required(at.Child("type"), ""))
		case seen[c.Type]:
			problems = append(problems, field.Duplicate(at.Child("type"), c.Type))
		}
		seen[c.Type] = true
		all := []corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown}
		if isVerdict(c.Type) || c.Type == certificatesv1.CertificateFailed {
			all = all[:1]
		}
		switch {
		case c.Status == "":
			problems = append(problems, field.Required(at.Child("status"), ""))
		case !slices.Contains(all, c.Status):
			problems = append(problems, field.NotSupported(at.Child("status"), c.Status, all))
		}
	}
	if seen[certificatesv1.CertificateApproved] && seen[certificatesv1.CertificateDenied] {
		problems = append(problems, field.Invalid(path, "Approved, Denied", "Approved and Denied conditions are mutually exclusive"))
	}
	return problems
}

// validateConditionsUpdate: a verdict and a failure are final.
func validateConditionsUpdate(r, old *csr) errs {
	problems := validateConditions(r)
	path := field.NewPath("status", "conditions")
	for _, was := range old.Status.Conditions {
		if !isVerdict(was.Type) && was.Type != certificatesv1.CertificateFailed {
			continue
		}
		switch now := condition(r, was.Type); {
		case now == nil:
			problems = append(problems, field.Forbidden(path, fmt.Sprintf("updates may not remove a condition of type %q", was.Type)))
		case isVerdict(was.Type) && !sameVerdict(&was, now):
			problems = append(problems, field.Forbidden(path, fmt.Sprintf("updates may not modify a condition of type %q", was.Type)))
		}
	}
	return problems
}

func sameVerdict(a, b *certificatesv1.CertificateSigningRequestCondition) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message
}

func validateStatusUpdate(r, old *csr) errs {
	problems := validateConditionsUpdate(r, old)
	path := field.NewPath("status", "certificate")
	if len(old.Status.Certificate) > 0 {
		if !bytes.Equal(old.Status.Certificate, r.Status.Certificate) {
			problems = append(problems, field.Forbidden(path, "updates may not modify existing certificate content"))
		}
		return problems
	}
	if len(r.Status.Certificate) > 0 {
		if err := checkCertificates(r.Status.Certificate); err != nil {
			problems = append(problems, field.Invalid(path, "<certificate data>", err.Error()))
		}
	}
	return problems
}

// checkCertificates reads a chain of certificates in PEM.
func checkCertificates(data []byte) error {
	found := 0
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		switch {
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		case len(block.Headers) > 0:
			return errors.New("no PEM block headers are permitted")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
		found, data = found+1, rest
	}
	if found == 0 {
		return errors.New("must contain at least one CERTIFICATE PEM block")
	}
	return nil
}

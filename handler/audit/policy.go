package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/apis/audit/validation"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"
)

// Policy says what is written down of which requests: as its first rule says that fits, and nothing of those that none fits.
type Policy struct {
	rules  audit.PolicyRuleEvaluator
	doubts []string
}

// ReadPolicy reads a Policy of audit.k8s.io/v1 from a file.
func ReadPolicy(file string) (*Policy, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return p, nil
}

// ParsePolicy reads a policy in YAML or JSON. A field that does not exist is a mistake, although kube-apiserver only warns: a rule whose
// "users" is misspelt fits everybody.
func ParsePolicy(data []byte) (*Policy, error) {
	if err := oneDocument(data); err != nil {
		return nil, err
	}
	if err := isPolicy(data); err != nil {
		return nil, err
	}
	declared := &auditapi.Policy{}
	decoder := serializer.NewCodecFactory(audit.Scheme, serializer.EnableStrict).UniversalDecoder()
	if _, _, err := decoder.Decode(data, nil, declared); err != nil {
		return nil, onOneLine(err)
	}
	if err := validation.ValidatePolicy(declared).ToAggregate(); err != nil {
		return nil, onOneLine(err)
	}
	if len(declared.Rules) == 0 {
		return nil, errors.New("it has no rules: add one, such as {level: Metadata}")
	}
	return &Policy{policy.NewPolicyRuleEvaluator(declared), doubtsOf(declared)}, nil
}

// Doubts are what is right in the policy and hardly meant, each on a line.
func (p *Policy) Doubts() []string { return p.doubts }

// verbs are all that requests have: those of resources, and the methods of HTTP for other paths.
var verbs = []string{
	"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy",
	"head", "post", "put", "options", "connect", "trace",
}

// doubtsOf tells of verbs that no request has. kube-apiserver takes them, so they stop no start.
func doubtsOf(p *auditapi.Policy) (doubts []string) {
	for i := range p.Rules {
		for _, verb := range p.Rules[i].Verbs {
			if !slices.Contains(verbs, verb) {
				doubts = append(doubts, fmt.Sprintf("rules[%d].verbs names %q, which no request has: verbs are get, list, watch, create, update, patch, delete, deletecollection, and for other paths than resources the method in lower case", i, verb))
			}
		}
	}
	return doubts
}

// isPolicy refuses what does not say that it is a policy.
func isPolicy(data []byte) error {
	var says metav1.TypeMeta
	if err := yaml.Unmarshal(data, &says); err != nil {
		return onOneLine(err)
	}
	if want := auditv1.SchemeGroupVersion.String(); says.APIVersion != want || says.Kind != "Policy" {
		return fmt.Errorf("it is of kind %q and apiVersion %q: a Policy of %s is wanted", says.Kind, says.APIVersion, want)
	}
	return nil
}

// oneDocument refuses a second document, which would be read by nobody.
func oneDocument(data []byte) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	found := 0
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return onOneLine(err)
		}
		if len(bytes.TrimSpace(document)) > 0 {
			found++
		}
	}
	switch found {
	case 0:
		return errors.New("it is empty: a Policy of audit.k8s.io/v1 is wanted")
	case 1:
		return nil
	}
	return fmt.Errorf("it holds %d documents: one is wanted", found)
}

// onOneLine is err as the start may say it.
func onOneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// of is what the policy wants of one request.
func (p *Policy) of(request authorizer.Attributes) audit.RequestAuditConfig {
	return p.rules.EvaluatePolicyRule(request)
}

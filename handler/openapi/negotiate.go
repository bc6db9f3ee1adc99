package openapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// media is an encoding and the names clients have for it. Answers carry the one without an @: with it, a
// Content-Type is not one that Go's clients can read.
type media struct {
	name    string
	aliases []string
}

var (
	mediaJSON    = media{name: "application/json"}
	mediaProtoV3 = media{
		name:    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
		aliases: []string{"application/com.github.proto-openapi.spec.v3@v1.0+protobuf"},
	}
	mediaProtoV2 = media{
		name:    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
		aliases: []string{"application/com.github.proto-openapi.spec.v2@v1.0+protobuf"},
	}
)

func (m media) is(asked string) bool {
	return asked == "*/*" || asked == "application/*" || strings.EqualFold(asked, m.name) || slices.ContainsFunc(m.aliases, func(a string) bool { return strings.EqualFold(asked, a) })
}

// negotiate chooses what the client likes best; among equals what it named first, and JSON for one that takes all.
func negotiate(accept []string, offers ...*lazy) (*lazy, bool) {
	var best *lazy
	var bestQuality float64
	named := false
	for _, header := range accept {
		for clause := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(clause, ";")
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			named = true
			quality := qualityOf(parameters)
			if quality <= bestQuality {
				continue
			}
			if i := slices.IndexFunc(offers, func(l *lazy) bool { return l.media.is(name) }); i >= 0 {
				best, bestQuality = offers[i], quality
			}
		}
	}
	if !named {
		return offers[0], true
	}
	return best, best != nil
}

func qualityOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		if q, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
			quality, err := strconv.ParseFloat(q, 64)
			if err != nil {
				return 0
			}
			return quality
		}
	}
	return 1
}

func notAcceptable(offers ...*lazy) error {
	names := make([]string, len(offers))
	for i, l := range offers {
		names[i] = l.media.name
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusNotAcceptable,
		Reason:  metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(names, ", "),
	}}
}

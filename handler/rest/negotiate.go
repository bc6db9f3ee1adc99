package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	mediaJSON     = "application/json"
	mediaYAML     = "application/yaml"
	mediaProtobuf = "application/vnd.kubernetes.protobuf"
)

// format is how an answer is encoded.
type format uint8

const (
	formatJSON format = iota
	formatYAML
	formatProtobuf
)

// shape is what an answer consists of.
type shape uint8

const (
	shapeObject  shape = iota // the resource's own kind
	shapeTable                // rows for people
	shapePartial              // metadata only: PartialObjectMetadata or its list
)

// encoding is the form of an answer that a client and this server agree on.
type encoding struct {
	format format
	shape  shape
	pretty bool
}

// offer is what one endpoint can answer with.
type offer struct {
	yaml     bool // streams have no YAML
	protobuf bool
	families bool // "application/*" means JSON: for custom resources only, as with kube-apiserver
	list     bool // which of the two partial kinds fits
}

// negotiate settles the form of the answer to r (contract, section 7.4).
func (o offer) negotiate(r *http.Request, query url.Values) (encoding, error) {
	enc, ok := o.accept(r.Header)
	if !ok {
		return encoding{}, o.notAcceptable()
	}
	enc.pretty = enc.pretty || wantsPretty(r, query)
	return enc, nil
}

// accept walks the Accept header once, without allocating, and keeps the best clause: the highest
// quality, then the more specific, then the earlier.
func (o offer) accept(h http.Header) (encoding, bool) {
	values := h["Accept"]
	if len(values) == 0 || values[0] == "" || values[0] == mediaJSON || values[0] == "*/*" {
		return encoding{}, true
	}
	var best encoding
	bestRank := 0
	for _, value := range values {
		for rest, more := value, true; more; {
			var clause string
			clause, rest, more = strings.Cut(rest, ",")
			if enc, rank := o.clause(clause); rank > bestRank {
				best, bestRank = enc, rank
			}
		}
	}
	return best, bestRank > 0
}

// clause reads one media range. Its rank is 0 when the endpoint cannot answer with it.
func (o offer) clause(clause string) (enc encoding, rank int) {
	media, params, _ := strings.Cut(clause, ";")
	media = strings.TrimSpace(media)
	specific := 1
	switch {
	case strings.EqualFold(media, mediaJSON):
		enc.format = formatJSON
	case strings.EqualFold(media, mediaYAML) && o.yaml:
		enc.format = formatYAML
	case strings.EqualFold(media, mediaProtobuf) && o.protobuf:
		enc.format = formatProtobuf
	case media == "*/*", media == "application/*" && o.families:
		specific = 0
	default:
		return enc, 0
	}

	quality := 1000
	var as, group, version string
	for more := params != ""; more; {
		var param string
		param, params, more = strings.Cut(params, ";")
		key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		value = strings.Trim(value, `"`)
		switch {
		case strings.EqualFold(key, "q"):
			quality = parseQuality(value)
		case key == "as":
			as = value
		case key == "g":
			group = value
		case key == "v":
			version = value
		case key == "pretty":
			enc.pretty = value == "1"
		}
	}
	if quality == 0 {
		return enc, 0
	}
	if as != "" {
		if group != metav1.GroupName || version != "v1" {
			return enc, 0
		}
		switch {
		case as == "Table" && enc.format != formatProtobuf:
			enc.shape = shapeTable
		case as == "PartialObjectMetadata" && !o.list, as == "PartialObjectMetadataList" && o.list:
			enc.shape = shapePartial
		default:
			return enc, 0
		}
	}
	return enc, quality*2 + specific
}

// parseQuality returns a q parameter in thousandths; what is malformed counts as 1.
func parseQuality(s string) int {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0 && q < 1) {
		return 1000
	}
	return int(q * 1000)
}

// notAcceptable lists what would have been.
func (o offer) notAcceptable() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusNotAcceptable,
		Reason:  metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(o.mediaTypes(), ", "),
	}}
}

// unsupported answers a body of a media type that is not read here.
func unsupported(accepted []string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusUnsupportedMediaType,
		Reason:  metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + strings.Join(accepted, ", "),
	}}
}

func (o offer) mediaTypes() []string {
	types := []string{mediaJSON}
	if o.yaml {
		types = append(types, mediaYAML)
	}
	if o.protobuf {
		types = append(types, mediaProtobuf)
	}
	return types
}

// wantsPretty honours ?pretty, and indents by itself for those who read over the wire.
func wantsPretty(r *http.Request, query url.Values) bool {
	if v := query["pretty"]; len(v) > 0 {
		return queryBool(v)
	}
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "curl") || strings.HasPrefix(agent, "Wget") || strings.HasPrefix(agent, "Mozilla/5.0")
}

// bodyFormat reads a Content-Type; a body without one is JSON.
func (o offer) bodyFormat(r *http.Request) (format, error) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch media = strings.TrimSpace(media); {
	case media == "", strings.EqualFold(media, mediaJSON):
		return formatJSON, nil
	case strings.EqualFold(media, mediaYAML) && o.yaml:
		return formatYAML, nil
	case strings.EqualFold(media, mediaProtobuf) && o.protobuf:
		return formatProtobuf, nil
	}
	return 0, unsupported(o.mediaTypes())
}

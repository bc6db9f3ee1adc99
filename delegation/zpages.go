package delegation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	cbor "k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/handler"
)

// component is how the pages for persons call this program: the part of a cluster that it stands in for.
const component = "apiserver"

// zpage is /statusz or /flagz: text for a person, unless a program asks for one of the kinds of config.k8s.io (contract 9).
type zpage struct {
	kind    string
	lines   func() []zline
	content func(meta zmeta) any
}

type zline struct{ name, value string }

// zmeta begins each of the structured pages.
type zmeta struct {
	Kind       string            `json:"kind"`
	APIVersion string            `json:"apiVersion"`
	Metadata   map[string]string `json:"metadata"`
}

type statusz struct {
	zmeta
	StartTime        metav1.Time `json:"startTime"`
	UptimeSeconds    int64       `json:"uptimeSeconds"`
	GoVersion        string      `json:"goVersion"`
	BinaryVersion    string      `json:"binaryVersion"`
	EmulationVersion string      `json:"emulationVersion,omitempty"`
	Paths            []string    `json:"paths"`
}

type flagz struct {
	zmeta
	Flags map[string]string `json:"flags"`
}

// zformats are the versions in which a program may ask.
const (
	zgroup      = "config.k8s.io"
	zversion    = "v1beta1"
	zdeprecated = "v1alpha1"
)

func (s *GenericAPIServer) statuszPage() *zpage {
	v := s.config.Version
	emulated := v.EmulationMajor + "." + v.EmulationMinor
	return &zpage{
		kind: "Statusz",
		lines: func() []zline {
			return []zline{
				{"Started", s.created.UTC().Format(time.RFC1123)},
				{"Up", time.Since(s.created).Round(time.Second).String()},
				{"Go version", v.GoVersion},
				{"Binary version", v.GitVersion},
				{"Emulation version", emulated},
				{"Paths", strings.Join(s.rootPaths(), " ")},
			}
		},
		content: func(meta zmeta) any {
			return statusz{meta, metav1.NewTime(s.created), int64(time.Since(s.created).Seconds()), v.GoVersion, v.GitVersion, emulated, s.rootPaths()}
		},
	}
}

// rootPaths are the listed paths of one segment: where to look on.
func (s *GenericAPIServer) rootPaths() []string {
	return slices.DeleteFunc(s.ListedPaths(), func(path string) bool { return strings.Count(path, "/") != 1 || path == "/" })
}

func flagzPage(flags map[string]string) *zpage {
	return &zpage{
		kind: "Flagz",
		lines: func() []zline {
			lines := make([]zline, 0, len(flags))
			for _, name := range slices.Sorted(maps.Keys(flags)) {
				lines = append(lines, zline{name, flags[name]})
			}
			return lines
		},
		content: func(meta zmeta) any { return flagz{meta, flags} },
	}
}

func (p *zpage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		handler.WriteError(w, r, apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, r.Method, schema.GroupResource{}, "", "this page can only be read", 0, true))
		return
	}
	format, version, ok := p.negotiate(r.Header.Get("Accept"))
	if !ok {
		err := apierrors.NewGenericServerResponse(http.StatusNotAcceptable, r.Method, schema.GroupResource{}, "", "", 0, true)
		err.ErrStatus.Message = fmt.Sprintf("only the following media types are accepted: text/plain, application/json;v=%s;g=%s;as=%s, application/yaml;v=%s;g=%s;as=%s, application/cbor;v=%s;g=%s;as=%s",
			zversion, zgroup, p.kind, zversion, zgroup, p.kind, zversion, zgroup, p.kind)
		err.ErrStatus.Reason = metav1.StatusReasonNotAcceptable
		handler.WriteError(w, r, err)
		return
	}
	if format == "" {
		writePlain(w, p.text())
		return
	}
	if version == zdeprecated {
		handler.AddWarning(r.Context(), fmt.Sprintf("%s/%s %s is deprecated: ask for %s", zgroup, version, p.kind, zversion))
	}
	body, err := encodePage(format, p.content(zmeta{p.kind, zgroup + "/" + version, map[string]string{"name": component}}))
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("encoding %s: %w", p.kind, err))
		return
	}
	w.Header().Set("Content-Type", format)
	w.Write(body)
}

// selfDescribed begins what is CBOR, so that it is known from JSON.
const selfDescribed = "\xd9\xd9\xf7"

func encodePage(format string, page any) ([]byte, error) {
	if format == "application/cbor" {
		body, err := cbor.Marshal(page)
		return append([]byte(selfDescribed), body...), err
	}
	body, err := json.Marshal(page)
	if err != nil || format == "application/json" {
		return body, err
	}
	return yaml.JSONToYAML(body)
}

// negotiate chooses the first form that the client accepts and that there is; text has no format.
func (p *zpage) negotiate(accept string) (format, version string, ok bool) {
	if strings.TrimSpace(accept) == "" {
		return "", "", true
	}
	for clause := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(clause)
		if err != nil {
			continue
		}
		switch media {
		case "*/*", "text/*", "text/plain":
			return "", "", true
		case "application/json", "application/yaml", "application/cbor":
			v := params["v"]
			if params["g"] == zgroup && params["as"] == p.kind && (v == zversion || v == zdeprecated) {
				return media, v, true
			}
		}
	}
	return "", "", false
}

// text is the page for a person. What stands between name and value changes from time to time, so that no program comes to
// rely on it: those ask for a kind.
func (p *zpage) text() []byte {
	delimiters := []string{": ", " = ", " | ", " -> "}
	delimiter := delimiters[rand.IntN(len(delimiters))]
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s\nWarning: for persons, and for debugging only. Programs must not parse this: its form may change at any time.\n\n", component, strings.ToLower(p.kind))
	for _, l := range p.lines() {
		fmt.Fprintf(&out, "%s%s%s\n", l.name, delimiter, l.value)
	}
	return out.Bytes()
}

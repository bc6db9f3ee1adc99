package conformance

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

const (
	asTable       = ";as=Table;v=v1;g=meta.k8s.io"
	asPartial     = ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	asPartialList = ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

	mediaJSON     = "application/json"
	mediaYAML     = "application/yaml"
	mediaProtobuf = "application/vnd.kubernetes.protobuf"
)

func accept(media string) map[string]string { return map[string]string{"Accept": media} }

func TestAnAnswerHasTheFormThatIsAskedFor(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", `"history":"yes"`)
		object, list := maps+"/one", maps+"?labelSelector=history"
		for _, c := range []struct {
			name, path, accept string
			contentType        string
			begins             string // how the body begins
		}{
			{"nothing asked", object, "", mediaJSON, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{`},
			{"anything", object, "*/*", mediaJSON, `{"kind":"ConfigMap"`},
			{"JSON", object, mediaJSON, mediaJSON, `{"kind":"ConfigMap"`},
			{"JSON, in capitals", object, "Application/JSON", mediaJSON, `{"kind":"ConfigMap"`},
			{"YAML", object, mediaYAML, mediaYAML, "apiVersion: v1\ndata:\n"},
			{"protobuf", object, mediaProtobuf, mediaProtobuf, "k8s\x00"},
			{"the best of several", object, "text/html;q=1, application/yaml;q=0.5, application/json;q=0.9", mediaJSON, `{"kind":"ConfigMap"`},
			{"the first of equals", object, "application/yaml, application/json", mediaYAML, "apiVersion"},
			{"what is not refused", object, "application/json;q=0, application/yaml", mediaYAML, "apiVersion"},
			{"indented", object + "?pretty=true", "", mediaJSON, "{\n  \"kind\": \"ConfigMap\",\n"},
			{"not indented", object + "?pretty=false", "", mediaJSON, `{"kind"`},
			{"a Table", object, mediaJSON + asTable, mediaJSON, `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"`},
			{"a Table in YAML", object, mediaYAML + asTable, mediaYAML, "apiVersion: meta.k8s.io/v1\ncolumnDefinitions:"},
			{"a Table if possible", object, mediaJSON + ";as=Table;v=v1beta9;g=meta.k8s.io, application/json", mediaJSON, `{"kind":"ConfigMap"`},
			{"what kubectl asks for", object, mediaJSON + asTable + ",application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", mediaJSON, `{"kind":"Table"`},
			{"the metadata", object, mediaJSON + asPartial, mediaJSON, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{`},
			{"the metadata in YAML", object, mediaYAML + asPartial, mediaYAML, "apiVersion: meta.k8s.io/v1\nkind: PartialObjectMetadata\n"},
			{"the metadata in protobuf", object, mediaProtobuf + asPartial, mediaProtobuf, "k8s\x00"},
			{"the metadata as of a list", object, mediaJSON + asPartialList + ",application/json", mediaJSON, `{"kind":"ConfigMap"`},
			{"a list", list, "", mediaJSON, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"`},
			{"a list in YAML", list, mediaYAML, mediaYAML, "apiVersion: v1\nitems:\n"},
			{"a list in protobuf", list, mediaProtobuf, mediaProtobuf, "k8s\x00"},
			{"a list, indented", list + "&pretty=1", "", mediaJSON, "{\n  \"kind\": \"ConfigMapList\",\n"},
			{"a list as Table", list, mediaJSON + asTable, mediaJSON, `{"kind":"Table"`},
			{"the metadata of a list", list, mediaJSON + asPartialList, mediaJSON, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"`},
			{"the metadata of a list in protobuf", list, mediaProtobuf + asPartialList, mediaProtobuf, "k8s\x00"},
		} {
			t.Run(c.name, func(t *testing.T) {
				x := exchange{path: c.path}
				if c.accept != "" {
					x.header = accept(c.accept)
				}
				r := s.must(t, 200, x)
				if got := r.header.Get("Content-Type"); got != c.contentType {
					t.Errorf("Content-Type: got %q, want %q", got, c.contentType)
				}
				if !strings.HasPrefix(string(r.body), c.begins) {
					t.Errorf("got %s, want it to begin with %q", cut(r.body), c.begins)
				}
			})
		}
		for name, refused := range map[string]string{
			"a picture": "image/png", "any application": "application/*", "a Table in protobuf": mediaProtobuf + asTable,
			"a Table of another version": mediaJSON + ";as=Table;v=v9;g=meta.k8s.io", "an unknown form": mediaJSON + ";as=Chart;v=v1;g=meta.k8s.io",
		} {
			t.Run("refused: "+name, func(t *testing.T) {
				s.expectFailure(t, exchange{path: object, header: accept(refused)}, failure{406, metav1.StatusReasonNotAcceptable, "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"})
			})
		}
		for _, agent := range []string{"curl/8", "Wget/1", "Mozilla/5.0 (X11)"} {
			r := s.must(t, 200, exchange{path: object, header: map[string]string{"User-Agent": agent}})
			if !strings.HasPrefix(string(r.body), "{\n  ") {
				t.Errorf("%s reads %s, want it indented", agent, cut(r.body))
			}
		}
	})
}

func TestATableShowsWhatIsAskedOfEachObject(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", `"history":"yes"`)
		for include, want := range map[string]string{
			"": "PartialObjectMetadata", "?includeObject=Metadata": "PartialObjectMetadata", "?includeObject=Object": "ConfigMap", "?includeObject=None": "",
		} {
			t.Run("includeObject"+include, func(t *testing.T) {
				r := s.must(t, 200, exchange{path: maps + "/one" + include, header: accept(mediaJSON + asTable)})
				var table metav1.Table
				if err := json.Unmarshal(r.body, &table); err != nil {
					t.Fatal(err)
				}
				var columns []string
				for _, column := range table.ColumnDefinitions {
					columns = append(columns, column.Name+"/"+column.Type)
				}
				if want := []string{"Name/string", "Data/string", "Age/string"}; !slices.Equal(columns, want) {
					t.Errorf("columns: got %v, want %v", columns, want)
				}
				if len(table.Rows) != 1 || len(table.Rows[0].Cells) != 3 || table.Rows[0].Cells[0] != "one" {
					t.Fatalf("rows: got %s", cut(r.body))
				}
				var object metav1.PartialObjectMetadata
				json.Unmarshal(table.Rows[0].Object.Raw, &object)
				if object.Kind != want || want != "" && object.Name != "one" {
					t.Errorf("the row's object: got %s, want a %q", table.Rows[0].Object.Raw, want)
				}
			})
		}
		s.expectFailure(t, exchange{path: maps + "?includeObject=Some", header: accept(mediaJSON + asTable)}, failure{400, metav1.StatusReasonBadRequest, "includeObject"})
	})
}

func TestAWatchHasTheFormThatIsAskedFor(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		version := s.put(t, namespace, "one", "first", `"history":"yes"`)
		path := maps + historySelector + "&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=0"
		open := func(media string) *stream {
			t.Helper()
			response := s.send(t, within(t, patience), exchange{path: path, header: accept(media)})
			t.Cleanup(func() { response.Body.Close() })
			if response.StatusCode != 200 {
				t.Fatalf("a watch in %s: got %d", media, response.StatusCode)
			}
			return newStream(response)
		}
		table, partial := open(mediaJSON+asTable), open(mediaJSON+asPartial)
		s.put(t, namespace, "one", "second", `"history":"yes"`)

		var columns []int
		for range 3 {
			f, ok := table.next(t)
			if !ok || f.Object.GetKind() != "Table" {
				t.Fatalf("a frame of a Table watch: got %v", f)
			}
			definitions, _ := f.Object.Object["columnDefinitions"].([]any)
			rows, _ := f.Object.Object["rows"].([]any)
			columns = append(columns, len(definitions))
			if want := 1; f.Type != "BOOKMARK" && len(rows) != want {
				t.Errorf("a %s of a Table watch has %d rows, want %d", f.Type, len(rows), want)
			}
			metadata, _ := f.Object.Object["metadata"].(map[string]any)
			if v, _ := metadata["resourceVersion"].(string); less(v, version) {
				t.Errorf("a %s of a Table watch has resourceVersion %q", f.Type, v)
			}
		}
		if want := []int{3, 0, 0}; !slices.Equal(columns, want) {
			t.Errorf("column definitions in each frame: got %v, want %v", columns, want)
		}
		table.expectEnd(t)

		frames := partial.expect(t, "ADDED one", "MODIFIED one", "BOOKMARK")
		for _, f := range frames {
			if f.Object.GetKind() != "PartialObjectMetadata" || f.Object.GetAPIVersion() != "meta.k8s.io/v1" || f.Object.Object["data"] != nil {
				t.Errorf("a %s of a metadata watch: got %v", f.Type, f.Object.Object)
			}
		}
	})
}

func TestABodyIsReadInEachForm(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		object := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Data: map[string]string{"value": "first"}}
		in := func(name string, encode func(any) ([]byte, error)) string {
			object.Name = name
			body, err := encode(object)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		protobuf := func(any) ([]byte, error) {
			raw, err := object.Marshal()
			if err != nil {
				return nil, err
			}
			envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Raw: raw}
			body, err := envelope.Marshal()
			return append([]byte("k8s\x00"), body...), err
		}
		for _, c := range []struct{ name, contentType, body string }{
			{"json", mediaJSON, in("json", json.Marshal)},
			{"json-charset", mediaJSON + "; charset=utf-8", in("json-charset", json.Marshal)},
			{"yaml", mediaYAML, in("yaml", yaml.Marshal)},
			{"protobuf", mediaProtobuf, in("protobuf", protobuf)},
		} {
			header := map[string]string{"Content-Type": c.contentType, "Accept": mediaJSON}
			r := s.must(t, 201, exchange{method: "POST", path: maps, body: c.body, header: header})
			if got := r.object(t); got.GetName() != c.name || got.GetKind() != "ConfigMap" || got.GetUID() == "" {
				t.Errorf("%s: got %s", c.name, cut(r.body))
			}
			s.must(t, 200, exchange{method: "PUT", path: maps + "/" + c.name, body: c.body, header: header})
		}
		r := s.must(t, 201, exchange{method: "POST", path: maps, body: in("nothing", json.Marshal), header: map[string]string{"Content-Type": ""}})
		if r.object(t).GetName() != "nothing" {
			t.Errorf("a body without Content-Type is JSON: got %s", cut(r.body))
		}
		for name, header := range map[string]map[string]string{
			"text": {"Content-Type": "text/plain"}, "a patch": {"Content-Type": "application/merge-patch+json"},
		} {
			t.Run("refused: "+name, func(t *testing.T) {
				s.expectFailure(t, exchange{method: "POST", path: maps, body: in("refused", json.Marshal), header: header}, failure{415, metav1.StatusReasonUnsupportedMediaType, ""})
			})
		}
		for name, c := range map[string]exchange{
			"half of a JSON":                {body: `{"kind":`},
			"protobuf that is none":         {body: "k8s\x00\xff\xff\xff", header: map[string]string{"Content-Type": mediaProtobuf}},
			"protobuf without its magic":    {body: "\x01\x02", header: map[string]string{"Content-Type": mediaProtobuf}},
			"YAML that is none":             {body: "a: [", header: map[string]string{"Content-Type": mediaYAML}},
			"another kind":                  {body: `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}`},
			"another version":               {body: `{"apiVersion":"v9","kind":"ConfigMap","metadata":{"name":"a"}}`},
			"a number where a text belongs": {body: `{"metadata":{"name":"a"},"data":{"value":1}}`},
			"a list":                        {body: `[]`},
			"nothing":                       {body: ` `},
		} {
			t.Run("refused: "+name, func(t *testing.T) {
				c.method, c.path = "POST", maps
				s.expectFailure(t, c, failure{400, metav1.StatusReasonBadRequest, ""})
			})
		}
	})
}

func TestALargeAnswerIsCompressed(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		value := strings.Repeat("0123456789", 20000)
		s.put(t, namespace, "large", value, `"history":"yes"`)
		s.put(t, namespace, "small", "", "")
		get := func(path, encoding, media string) *http.Response {
			t.Helper()
			response := s.send(t, within(t, patience), exchange{path: path, header: map[string]string{"Accept-Encoding": encoding, "Accept": media}})
			t.Cleanup(func() { response.Body.Close() })
			return response
		}
		for _, path := range []string{maps + "/large", maps + "?labelSelector=history", maps} {
			for _, media := range []string{mediaJSON, mediaYAML, mediaProtobuf} {
				response := get(path, "gzip", media)
				if response.Header.Get("Content-Encoding") != "gzip" || response.Header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("GET %s in %s: got %v, want it compressed", path, media, response.Header)
					continue
				}
				reader, err := gzip.NewReader(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(reader)
				if err != nil || !strings.Contains(string(body), value) {
					t.Errorf("GET %s in %s: %v, %d bytes", path, media, err, len(body))
				}
			}
		}
		for _, response := range []*http.Response{
			get(maps+"/small", "gzip", mediaJSON), get(maps+"/large", "identity", mediaJSON), get(maps+"/large", "gzip;q=0", mediaJSON), get(maps+"/large", "br", mediaJSON),
		} {
			if got := response.Header.Get("Content-Encoding"); got != "" {
				t.Errorf("GET %s with Accept-Encoding %q: got %q, want it plain", response.Request.URL.Path, response.Request.Header.Get("Accept-Encoding"), got)
			}
		}
	})
}

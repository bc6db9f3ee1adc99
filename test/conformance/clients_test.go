package conformance

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
)

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

// inProtobuf is the configuration of clients that prefer protobuf, as controllers do.
func (s *server) inProtobuf() *rest.Config {
	config := rest.CopyConfig(s.config)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config
}

func (s *server) typedFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestTypedClientsWork(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		for name, config := range map[string]*rest.Config{"json": s.config, "protobuf": s.inProtobuf()} {
			t.Run(name, func(t *testing.T) {
				client := s.typedFor(t, config)
				maps := client.CoreV1().ConfigMaps(namespace)
				label := metav1.ListOptions{LabelSelector: "client=typed-" + name}
				object := func(i int) *corev1.ConfigMap {
					return &corev1.ConfigMap{
						ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("typed-%s-%d", name, i), Labels: map[string]string{"client": "typed-" + name}},
						Data:       map[string]string{"value": "first"}, BinaryData: map[string][]byte{"raw": {0, 1, 2, 255}},
					}
				}
				w, err := maps.Watch(t.Context(), label)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Stop()
				var made *corev1.ConfigMap
				for i := range 3 {
					if made, err = maps.Create(t.Context(), object(i), metav1.CreateOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				if made.UID == "" || made.Data["value"] != "first" || string(made.BinaryData["raw"]) != "\x00\x01\x02\xff" {
					t.Errorf("create: got %v", made)
				}
				if _, err := maps.Create(t.Context(), object(0), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
					t.Errorf("create again: got %v", err)
				}
				if _, err := maps.Get(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("get of nothing: got %v", err)
				}
				got, err := maps.Get(t.Context(), made.Name, metav1.GetOptions{ResourceVersion: "0"})
				if err != nil || got.ResourceVersion != made.ResourceVersion || string(got.BinaryData["raw"]) != "\x00\x01\x02\xff" {
					t.Errorf("get: got %v, %v, want %v", got, err, made)
				}
				stale := got.DeepCopy()
				got.Data["value"] = "second"
				if got, err = maps.Update(t.Context(), got, metav1.UpdateOptions{}); err != nil || got.Data["value"] != "second" {
					t.Errorf("update: got %v, %v", got, err)
				}
				stale.Data["value"] = "lost"
				if _, err := maps.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
					t.Errorf("stale update: got %v", err)
				}
				for _, kind := range []types.PatchType{types.StrategicMergePatchType, types.MergePatchType} {
					if got, err = maps.Patch(t.Context(), made.Name, kind, []byte(`{"data":{"by":"`+string(kind)+`"}}`), metav1.PatchOptions{}); err != nil || got.Data["by"] != string(kind) {
						t.Errorf("patch: got %v, %v", got, err)
					}
				}
				first, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: label.LabelSelector, Limit: 2})
				if err != nil || len(first.Items) != 2 || first.Continue == "" || first.ResourceVersion == "" || first.Items[0].BinaryData == nil {
					t.Fatalf("list: got %v, %v", first, err)
				}
				pages := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) { return maps.List(t.Context(), o) }))
				pages.PageSize = 1
				if all, _, err := pages.List(t.Context(), label); err != nil || meta.LenList(all) != 3 {
					t.Errorf("pages: got %v, %v", all, err)
				}
				if err := maps.Delete(t.Context(), made.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("other")}); !apierrors.IsConflict(err) {
					t.Errorf("delete of another: got %v", err)
				}
				if err := maps.Delete(t.Context(), made.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(made.UID))}); err != nil {
					t.Errorf("delete: got %v", err)
				}
				if err := maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, label); err != nil {
					t.Errorf("delete collection: got %v", err)
				}
				expectEvents(t, w, "ADDED 0", "ADDED 1", "ADDED 2", "MODIFIED 2", "MODIFIED 2", "MODIFIED 2", "DELETED 2", "DELETED 0", "DELETED 1")

				services := client.CoreV1().Services(namespace)
				service, err := services.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{GenerateName: "typed-"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
				service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
				if service, err = services.UpdateStatus(t.Context(), service, metav1.UpdateOptions{}); err != nil || len(service.Status.LoadBalancer.Ingress) != 1 {
					t.Errorf("update of the status: got %v, %v", service, err)
				}
				err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
					_, err := services.Update(t.Context(), service, metav1.UpdateOptions{})
					return err
				})
				if err != nil {
					t.Errorf("update of a service: got %v", err)
				}
			})
		}
	})
}

// expectEvents compares events by type and the last character of the object's name.
func expectEvents(t *testing.T, w watch.Interface, want ...string) {
	t.Helper()
	var got []string
	overdue := time.After(patience)
	for len(got) < len(want) {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				t.Fatalf("the watch ended after %q", got)
			}
			m, err := meta.Accessor(e.Object)
			if err != nil {
				t.Fatalf("the watch ended after %q with %v", got, apierrors.FromObject(e.Object))
			}
			got = append(got, string(e.Type)+" "+m.GetName()[len(m.GetName())-1:])
		case <-overdue:
			t.Fatalf("got the events %q, want %q", got, want)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the events %q, want %q", got, want)
	}
}

func TestDynamicClientsWork(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		client, err := dynamic.NewForConfig(s.config)
		if err != nil {
			t.Fatal(err)
		}
		maps := client.Resource(configMaps).Namespace(namespace)
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"value": "first"},
			"metadata": map[string]any{"name": "dynamic-1", "labels": map[string]any{"client": "dynamic"}},
		}}
		label := metav1.ListOptions{LabelSelector: "client=dynamic"}
		w, err := maps.Watch(t.Context(), label)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		made, err := maps.Create(t.Context(), object, metav1.CreateOptions{FieldValidation: "Strict"})
		if err != nil {
			t.Fatal(err)
		}
		unstructured.SetNestedField(made.Object, "second", "data", "value")
		updated, err := maps.Update(t.Context(), made, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := maps.Update(t.Context(), made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("stale update: got %v", err)
		}
		if _, err := maps.Patch(t.Context(), "dynamic-1", types.JSONPatchType, []byte(`[{"op":"replace","path":"/data/value","value":"third"}]`), metav1.PatchOptions{}); err != nil {
			t.Errorf("patch: got %v", err)
		}
		list, err := maps.List(t.Context(), label)
		if err != nil || len(list.Items) != 1 || list.GetKind() != "ConfigMapList" || list.Items[0].GetKind() != "ConfigMap" || !less(updated.GetResourceVersion(), list.Items[0].GetResourceVersion()) {
			t.Errorf("list: got %v, %v", list, err)
		}
		unknown := object.DeepCopy()
		unknown.SetName("dynamic-2")
		unstructured.SetNestedField(unknown.Object, "x", "colour")
		if _, err := maps.Create(t.Context(), unknown, metav1.CreateOptions{FieldValidation: "Strict"}); !apierrors.IsBadRequest(err) {
			t.Errorf("create with an unknown field: got %v", err)
		}
		if err := maps.Delete(t.Context(), "dynamic-1", metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete: got %v", err)
		}
		expectEvents(t, w, "ADDED 1", "MODIFIED 1", "MODIFIED 1", "DELETED 1")
	})
}

func TestMetadataClientsWork(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		for name, config := range map[string]*rest.Config{"json": s.config, "protobuf": s.inProtobuf()} {
			t.Run(name, func(t *testing.T) {
				client, err := metadata.NewForConfig(metadata.ConfigFor(config))
				if err != nil {
					t.Fatal(err)
				}
				maps := client.Resource(configMaps).Namespace(namespace)
				label := metav1.ListOptions{LabelSelector: "client=metadata-" + name}
				object := "metadata-" + name + "-1"
				w, err := maps.Watch(t.Context(), label)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Stop()
				version := s.put(t, namespace, object, "first", `"client":"metadata-`+name+`"`)
				got, err := maps.Get(t.Context(), object, metav1.GetOptions{})
				if err != nil || got.ResourceVersion != version || got.Labels["client"] != "metadata-"+name {
					t.Errorf("get: got %v, %v", got, err)
				}
				list, err := maps.List(t.Context(), label)
				if err != nil || len(list.Items) != 1 || list.Items[0].Name != object || list.ResourceVersion == "" {
					t.Errorf("list: got %v, %v", list, err)
				}
				got, err = maps.Patch(t.Context(), object, types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`), metav1.PatchOptions{})
				if err != nil || got.Annotations["a"] != "b" {
					t.Errorf("patch: got %v, %v", got, err)
				}
				if _, err := maps.Get(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("get of nothing: got %v", err)
				}
				if err := maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, label); err != nil {
					t.Errorf("delete collection: got %v", err)
				}
				expectEvents(t, w, "ADDED 1", "MODIFIED 1", "DELETED 1")
			})
		}
	})
}

func TestClientsTellFailuresApart(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		for name, config := range map[string]*rest.Config{"json": s.config, "protobuf": s.inProtobuf()} {
			t.Run(name, func(t *testing.T) {
				maps := s.typedFor(t, config).CoreV1().ConfigMaps(namespace)
				ctx := within(t, patience)
				_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "A_b"}}, metav1.CreateOptions{})
				var status *apierrors.StatusError
				if !apierrors.IsInvalid(err) || !errors.As(err, &status) || len(status.ErrStatus.Details.Causes) == 0 || status.ErrStatus.Details.Causes[0].Field != "metadata.name" {
					t.Errorf("a bad name: got %v", err)
				}
				if _, err = maps.Watch(ctx, metav1.ListOptions{FieldSelector: "data.x=y"}); !apierrors.IsBadRequest(err) {
					t.Errorf("a watch by an unknown field: got %v", err)
				}
				if _, err := maps.List(ctx, metav1.ListOptions{Continue: "nonsense"}); !apierrors.IsBadRequest(err) {
					t.Errorf("a token that is none: got %v", err)
				}
			})
		}
	})
}

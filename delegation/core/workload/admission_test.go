package workload_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/core/workload"
	"github.com/portico-api/portico/delegation/registry"
)

func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i+1 < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = apiresource.MustParse(pairs[i+1])
	}
	return list
}

func creating(name string, obj registry.Request) *registry.Request {
	obj.Operation, obj.Namespace, obj.Name = registry.Create, "ns", name
	return &obj
}

func podOf(containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: containers}}
}

func asks(name string, requests, limits corev1.ResourceList) corev1.Container {
	return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

// The words are those of kube-apiserver: people search for them.
func TestLimitRanges(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	item := func(kind corev1.LimitType) corev1.LimitRangeItem { return corev1.LimitRangeItem{Type: kind} }
	with := func(i corev1.LimitRangeItem, edit func(*corev1.LimitRangeItem)) corev1.LimitRangeItem {
		edit(&i)
		return i
	}
	maxCPU := func(kind corev1.LimitType, most string) corev1.LimitRangeItem {
		return with(item(kind), func(i *corev1.LimitRangeItem) { i.Max = amounts("cpu", most) })
	}
	for _, c := range []struct {
		name string
		item corev1.LimitRangeItem
		pod  *corev1.Pod
		want []string // the refusal; none when it is let in
	}{
		{"less than the most", maxCPU("Container", "2"), podOf(asks("c", nil, amounts("cpu", "1"))), nil},
		{"more than the most", maxCPU("Container", "1"), podOf(asks("c", nil, amounts("cpu", "2"))), []string{"maximum cpu usage per Container is 1, but limit is 2"}},
		{"a request beyond the most", maxCPU("Container", "1"), podOf(asks("c", amounts("cpu", "3"), amounts("cpu", "1"))), []string{"maximum cpu usage per Container is 1, but request is 3"}},
		{"no limit", maxCPU("Container", "1"), podOf(asks("c", nil, nil)), []string{"maximum cpu usage per Container is 1.  No limit is specified"}},
		{"less than the least", with(item("Container"), func(i *corev1.LimitRangeItem) { i.Min = amounts("memory", "1Gi") }),
			podOf(asks("c", amounts("memory", "1Mi"), nil)), []string{"minimum memory usage per Container is 1Gi, but request is 1Mi"}},
		{"no request", with(item("Container"), func(i *corev1.LimitRangeItem) { i.Min = amounts("memory", "1Gi") }),
			podOf(asks("c", nil, nil)), []string{"minimum memory usage per Container is 1Gi.  No request is specified"}},
		{"too wide", with(item("Container"), func(i *corev1.LimitRangeItem) { i.MaxLimitRequestRatio = amounts("cpu", "2") }),
			podOf(asks("c", amounts("cpu", "100m"), amounts("cpu", "400m"))), []string{"cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000"}},
		{"all containers together", maxCPU("Pod", "3"), podOf(asks("a", nil, amounts("cpu", "2")), asks("b", nil, amounts("cpu", "2"))), []string{"maximum cpu usage per Pod is 3, but limit is 4"}},
		{"one before the others", maxCPU("Pod", "3"), func() *corev1.Pod {
			p := podOf(asks("a", nil, amounts("cpu", "2")))
			p.Spec.InitContainers = []corev1.Container{asks("i", nil, amounts("cpu", "3"))}
			return p
		}(), nil},
		{"one beside the others", maxCPU("Pod", "3"), func() *corev1.Pod {
			p := podOf(asks("a", nil, amounts("cpu", "2")))
			beside := asks("i", nil, amounts("cpu", "2"))
			beside.RestartPolicy = &always
			p.Spec.InitContainers = []corev1.Container{beside}
			return p
		}(), []string{"maximum cpu usage per Pod is 3, but limit is 4"}},
		{"two problems", with(maxCPU("Container", "1"), func(i *corev1.LimitRangeItem) { i.Min = amounts("memory", "1Gi") }),
			podOf(asks("c", amounts("memory", "1Mi"), amounts("cpu", "2"))), []string{"[minimum memory usage per Container is 1Gi, but request is 1Mi, maximum cpu usage per Container is 1, but limit is 2]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := &workload.Limits{Ranges: func(context.Context, string) ([]*corev1.LimitRange, error) {
				return []*corev1.LimitRange{{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{c.item}}}}, nil
			}}
			err := limits.Validate(t.Context(), creating("p", registry.Request{Resource: corev1.SchemeGroupVersion.WithResource("pods"), Object: c.pod}))
			if len(c.want) == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			want := `pods "p" is forbidden: ` + c.want[0]
			if err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

func TestLimitRangesCompleteContainers(t *testing.T) {
	limits := &workload.Limits{Ranges: func(context.Context, string) ([]*corev1.LimitRange, error) {
		return []*corev1.LimitRange{{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Default: amounts("cpu", "2", "memory", "1Gi"), DefaultRequest: amounts("cpu", "1"),
		}}}}}, nil
	}}
	pod := podOf(asks("a", nil, amounts("memory", "2Gi")), asks("b", amounts("cpu", "500m"), amounts("cpu", "1", "memory", "1Mi")))
	if err := limits.Admit(t.Context(), creating("p", registry.Request{Object: pod})); err != nil {
		t.Fatal(err)
	}
	a, b := pod.Spec.Containers[0].Resources, pod.Spec.Containers[1].Resources
	if a.Limits.Cpu().String() != "2" || a.Limits.Memory().String() != "2Gi" || a.Requests.Cpu().String() != "1" || b.Limits.Cpu().String() != "1" || b.Requests.Cpu().String() != "500m" {
		t.Errorf("got %+v and %+v", a, b)
	}
	if got, want := pod.Annotations["kubernetes.io/limit-ranger"], "LimitRanger plugin set: cpu request for container a; cpu limit for container a"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClaimsAreHeldToLimitRanges(t *testing.T) {
	limits := &workload.Limits{Ranges: func(context.Context, string) ([]*corev1.LimitRange, error) {
		return []*corev1.LimitRange{{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypePersistentVolumeClaim, Min: amounts("storage", "1Gi"), Max: amounts("storage", "2Gi"),
		}}}}}, nil
	}}
	for size, want := range map[string]string{"1Gi": "", "3Gi": "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi", "1Mi": "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"} {
		claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: amounts("storage", size)}}}
		err := limits.Validate(t.Context(), creating("c", registry.Request{Object: claim}))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", size, err, want)
		}
	}
}

func TestPodsGetThePriorityOfTheirClass(t *testing.T) {
	never, five := corev1.PreemptNever, int32(5)
	classes := &workload.Priorities{Classes: func(context.Context) ([]*schedulingv1.PriorityClass, error) {
		return []*schedulingv1.PriorityClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "usual"}, Value: 7, GlobalDefault: true},
			{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Value: 9, PreemptionPolicy: &never},
		}, nil
	}}
	for _, c := range []struct {
		name   string
		spec   corev1.PodSpec
		class  string
		value  int32
		policy corev1.PreemptionPolicy
		want   string
	}{
		{name: "that of its class", spec: corev1.PodSpec{PriorityClassName: "high"}, class: "high", value: 9, policy: never},
		{name: "the usual one", class: "usual", value: 7, policy: corev1.PreemptLowerPriority},
		{name: "of no class", spec: corev1.PodSpec{PriorityClassName: "x"}, want: "no PriorityClass with name x was found"},
		{name: "its own", spec: corev1.PodSpec{Priority: &five}, want: "the integer value of priority (5) must not be provided in pod spec"},
		{name: "its own policy", spec: corev1.PodSpec{PreemptionPolicy: &never}, want: "the string value of PreemptionPolicy (Never) must not be provided in pod spec"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: c.spec}
			err := classes.Admit(t.Context(), creating("p", registry.Request{Resource: corev1.SchemeGroupVersion.WithResource("pods"), Object: pod}))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			if err != nil || pod.Spec.PriorityClassName != c.class || *pod.Spec.Priority != c.value || *pod.Spec.PreemptionPolicy != c.policy {
				t.Errorf("got %v, %+v", err, pod.Spec)
			}
		})
	}
	second := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "second"}, GlobalDefault: true}
	if err := classes.Validate(t.Context(), creating("second", registry.Request{Object: second})); err == nil || !strings.Contains(err.Error(), "PriorityClass usual is already marked as default. Only one default can exist") {
		t.Errorf("got %v", err)
	}
	update := &registry.Request{Operation: registry.Update, Object: &corev1.Pod{}, Old: &corev1.Pod{Spec: corev1.PodSpec{Priority: &five, PreemptionPolicy: &never}}}
	if err := classes.Admit(t.Context(), update); err != nil || *update.Object.(*corev1.Pod).Spec.Priority != 5 {
		t.Errorf("an update does not keep the priority: %v", err)
	}
}

func TestDefaultClasses(t *testing.T) {
	class := func(name, mark string, age time.Duration) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Annotations: map[string]string{mark: "true"}, CreationTimestamp: metav1.NewTime(time.Now().Add(-age))}
	}
	storage := &workload.StorageClasses{Classes: func(context.Context) ([]*storagev1.StorageClass, error) {
		return []*storagev1.StorageClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "none"}},
			{ObjectMeta: class("old", "storageclass.kubernetes.io/is-default-class", time.Hour)},
			{ObjectMeta: class("new", "storageclass.beta.kubernetes.io/is-default-class", time.Minute)},
		}, nil
	}}
	empty := ""
	for _, c := range []struct {
		claim *corev1.PersistentVolumeClaim
		want  *string
	}{
		{&corev1.PersistentVolumeClaim{}, ptr("new")},
		{&corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &empty}}, &empty},
		{&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"volume.beta.kubernetes.io/storage-class": "x"}}}, nil},
	} {
		err := storage.Admit(t.Context(), creating("c", registry.Request{Object: c.claim}))
		got := c.claim.Spec.StorageClassName
		if err != nil || (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("got %v, %v, want %v", err, got, c.want)
		}
	}
	ingresses := &workload.IngressClasses{Classes: func(context.Context) ([]*networkingv1.IngressClass, error) {
		return []*networkingv1.IngressClass{{ObjectMeta: class("front", "ingressclass.kubernetes.io/is-default-class", time.Hour)}}, nil
	}}
	ingress := &networkingv1.Ingress{}
	if err := ingresses.Admit(t.Context(), creating("i", registry.Request{Object: ingress})); err != nil || ingress.Spec.IngressClassName == nil || *ingress.Spec.IngressClassName != "front" {
		t.Errorf("got %v, %v", err, ingress.Spec.IngressClassName)
	}
	old := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"kubernetes.io/ingress.class": "x"}}}
	if err := ingresses.Admit(t.Context(), creating("i", registry.Request{Object: old})); err != nil || old.Spec.IngressClassName != nil {
		t.Errorf("got %v, %v", err, old.Spec.IngressClassName)
	}
}

func ptr[T any](v T) *T { return &v }

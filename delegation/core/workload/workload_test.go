package workload_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/delegation/core/workload"
	"github.com/portico-api/portico/delegation/registry"
)

func resource(t testing.TB, name string) registry.Resource {
	t.Helper()
	for _, r := range workload.Resources() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no resource %q", name)
	return registry.Resource{}
}

// made is an object as a create makes it, up to validation.
func made(t testing.TB, r registry.Resource, text string) runtime.Object {
	t.Helper()
	obj := r.New()
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	r.Strategy.Default(obj)
	if r.Strategy.PrepareForCreate != nil {
		r.Strategy.PrepareForCreate(context.Background(), obj)
	}
	return obj
}

const (
	podSpec  = "containers: [{name: c, image: i:1}]"
	template = "selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {" + podSpec + "}}"
	jobSpec  = "template: {spec: {restartPolicy: Never, " + podSpec + "}}"
)

func TestWhatIsLeftOutIsFilledIn(t *testing.T) {
	for _, c := range []struct{ name, resource, object, path, want string }{
		{"a deployment has one pod", "deployments", "spec: {" + template + "}", "spec.replicas", "1"},
		{"a deployment rolls by quarters", "deployments", "spec: {" + template + "}", "spec.strategy", `{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"},"type":"RollingUpdate"}`},
		{"one that recreates does not roll", "deployments", "spec: {strategy: {type: Recreate}, " + template + "}", "spec.strategy", `{"type":"Recreate"}`},
		{"a template is a pod", "deployments", "spec: {" + template + "}", "spec.template.spec.dnsPolicy", `"ClusterFirst"`},
		{"a pod restarts", "pods", "spec: {" + podSpec + "}", "spec.restartPolicy", `"Always"`},
		{"a pod waits", "pods", "spec: {" + podSpec + "}", "status.phase", `"Pending"`},
		{"a pod without needs", "pods", "spec: {" + podSpec + "}", "status.qosClass", `"BestEffort"`},
		{"limits are requests", "pods", "spec: {containers: [{name: c, image: i, resources: {limits: {cpu: 1, memory: 1Gi}}}]}", "status.qosClass", `"Guaranteed"`},
		{"a tagged image is kept", "pods", "spec: {" + podSpec + "}", "spec.containers.0.imagePullPolicy", `"IfNotPresent"`},
		{"the latest image is pulled", "pods", "spec: {containers: [{name: c, image: 'h:80/i'}]}", "spec.containers.0.imagePullPolicy", `"Always"`},
		{"a digest never changes", "pods", "spec: {containers: [{name: c, image: 'i@sha256:1'}]}", "spec.containers.0.imagePullPolicy", `"IfNotPresent"`},
		{"a port is TCP", "pods", "spec: {containers: [{name: c, image: i, ports: [{containerPort: 1}]}]}", "spec.containers.0.ports.0.protocol", `"TCP"`},
		{"a probe asks every ten seconds", "pods", "spec: {containers: [{name: c, image: i, livenessProbe: {httpGet: {port: 1}}}]}", "spec.containers.0.livenessProbe",
			`{"failureThreshold":3,"httpGet":{"path":"/","port":1,"scheme":"HTTP"},"periodSeconds":10,"successThreshold":1,"timeoutSeconds":1}`},
		{"a volume without a source is an empty one", "pods", "spec: {volumes: [{name: v}], " + podSpec + "}", "spec.volumes.0", `{"emptyDir":{},"name":"v"}`},
		{"a secret is readable", "pods", "spec: {volumes: [{name: v, secret: {secretName: s}}], " + podSpec + "}", "spec.volumes.0.secret.defaultMode", "420"},
		{"a daemon set changes pods one by one", "daemonsets", "spec: {" + template + "}", "spec.updateStrategy.rollingUpdate.maxUnavailable", "1"},
		{"a stateful set starts pods in order", "statefulsets", "spec: {" + template + "}", "spec.podManagementPolicy", `"OrderedReady"`},
		{"a job completes once", "jobs", "spec: {" + jobSpec + "}", "spec.completions", "1"},
		{"a job selects its own pods", "jobs", "metadata: {name: j, uid: u}\nspec: {" + jobSpec + "}", "spec.selector", `{"matchLabels":{"batch.kubernetes.io/controller-uid":"u"}}`},
		{"a cron job keeps three", "cronjobs", "spec: {schedule: '@daily', jobTemplate: {spec: {" + jobSpec + "}}}", "spec.successfulJobsHistoryLimit", "3"},
		{"a policy without egress is for ingress", "networkpolicies", "spec: {}", "spec.policyTypes", `["Ingress"]`},
		{"an autoscaler looks at the CPU", "horizontalpodautoscalers", "spec: {maxReplicas: 2}", "spec.metrics.0.resource.target.averageUtilization", "80"},
		{"a class deletes", "storageclasses", "provisioner: p", "reclaimPolicy", `"Delete"`},
		{"a volume is a file system", "persistentvolumes", "spec: {}", "spec.volumeMode", `"Filesystem"`},
		{"a claim waits", "persistentvolumeclaims", "spec: {}", "status.phase", `"Pending"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := at(made(t, resource(t, c.resource), c.object), c.path)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%s of %s\n got %s\nwant %s", c.path, c.object, got, c.want)
			}
		})
	}
}

// at is what stands at a path of an object, in JSON.
func at(obj runtime.Object, path string) (string, error) {
	body, err := json.Marshal(obj)
	if err != nil {
		return "", err
	}
	var here any
	if err := json.Unmarshal(body, &here); err != nil {
		return "", err
	}
	for step := range strings.SplitSeq(path, ".") {
		switch v := here.(type) {
		case map[string]any:
			here = v[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				return "", fmt.Errorf("there is no %s in %v", step, v)
			}
			here = v[i]
		}
	}
	found, err := json.Marshal(here)
	return string(found), err
}

func TestWhatCannotBeIsRefusedByItsPath(t *testing.T) {
	deployment := func(more string) string { return "spec: {" + more + "}" }
	container := func(more string) string { return "spec: {containers: [{name: c, image: i, " + more + "}]}" }
	for _, c := range []struct{ resource, object, old, want string }{
		{"deployments", deployment(template), "", ""},
		{"deployments", "spec: {template: {spec: {" + podSpec + "}}}", "", "spec.selector: Required"},
		{"deployments", deployment("selector: {}, template: {spec: {" + podSpec + "}}"), "", "spec.selector: Invalid"},
		{"deployments", deployment("selector: {matchLabels: {a: x}}, template: {metadata: {labels: {a: b}}, spec: {" + podSpec + "}}"), "", "spec.template.metadata.labels: Invalid"},
		{"deployments", deployment("replicas: -1, " + template), "", "spec.replicas: Invalid"},
		{"deployments", deployment("strategy: {type: Odd}, " + template), "", "spec.strategy.type: Unsupported"},
		{"deployments", deployment("strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}, " + template), "", "spec.strategy.rollingUpdate.maxUnavailable: Invalid"},
		{"deployments", deployment("strategy: {rollingUpdate: {maxSurge: x}}, " + template), "", "spec.strategy.rollingUpdate.maxSurge: Invalid"},
		{"deployments", deployment("selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b, c: d}}, spec: {" + podSpec + "}}"),
			deployment("selector: {matchLabels: {c: d}}, template: {metadata: {labels: {a: b, c: d}}, spec: {" + podSpec + "}}"), "spec.selector: Invalid"},
		{"statefulsets", deployment("serviceName: b, " + template), deployment("serviceName: a, " + template), "spec: Forbidden"},
		{"replicationcontrollers", "spec: {}", "", "spec.template: Required"},
		{"pods", "spec: {}", "", "spec.containers: Required"},
		{"pods", "spec: {containers: [{name: c}]}", "", "spec.containers[0].image: Required"},
		{"deployments", "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}}", "", "spec.template.spec.containers[0].image: Required"},
		{"pods", "spec: {containers: [{name: c, image: i}, {name: c, image: i}]}", "", "spec.containers[1].name: Duplicate"},
		{"pods", "spec: {containers: [{name: A_, image: i}]}", "", "spec.containers[0].name: Invalid"},
		{"pods", container("ports: [{containerPort: 70000}]"), "", "spec.containers[0].ports[0].containerPort: Invalid"},
		{"pods", container("ports: [{containerPort: 1, protocol: X}]"), "", "spec.containers[0].ports[0].protocol: Unsupported"},
		{"pods", container("volumeMounts: [{name: v, mountPath: /v}]"), "", "spec.containers[0].volumeMounts[0].name: Not found"},
		{"pods", container("livenessProbe: {}"), "", "spec.containers[0].livenessProbe: Required"},
		{"pods", container("livenessProbe: {httpGet: {port: 0}}"), "", "spec.containers[0].livenessProbe.httpGet.port: Invalid"},
		{"pods", container("resources: {requests: {cpu: 2}, limits: {cpu: 1}}"), "", "spec.containers[0].resources.requests: Invalid"},
		{"pods", container("resources: {requests: {cpu: -1}}"), "", "spec.containers[0].resources.requests[cpu]: Invalid"},
		{"pods", container("env: [{value: x}]"), "", "spec.containers[0].env[0].name: Required"},
		{"pods", "spec: {restartPolicy: Sometimes, " + podSpec + "}", "", "spec.restartPolicy: Unsupported"},
		{"pods", "spec: {volumes: [{name: v, emptyDir: {}, hostPath: {path: /}}], " + podSpec + "}", "", "spec.volumes[0]: Forbidden"},
		{"pods", "spec: {nodeName: n, " + podSpec + "}", "spec: {" + podSpec + "}", "spec: Forbidden"},
		{"pods", "spec: {containers: [{name: c, image: i:2, imagePullPolicy: IfNotPresent}]}", "spec: {" + podSpec + "}", ""},
		{"jobs", "metadata: {name: j, uid: u}\nspec: {template: {spec: {" + podSpec + "}}}", "", "spec.template.spec.restartPolicy: Required"},
		{"jobs", "metadata: {name: j, uid: u}\nspec: {" + jobSpec + "}", "", ""},
		{"cronjobs", "spec: {jobTemplate: {spec: {" + jobSpec + "}}}", "", "spec.schedule: Required"},
		{"cronjobs", "spec: {schedule: '61 * * * *', jobTemplate: {spec: {" + jobSpec + "}}}", "", "spec.schedule: Invalid"},
		{"cronjobs", "spec: {schedule: '*/5 0-6,12 1 jan mon-fri', jobTemplate: {spec: {" + jobSpec + "}}}", "", ""},
		{"horizontalpodautoscalers", "spec: {scaleTargetRef: {kind: D, name: d}, maxReplicas: 0}", "", "spec.maxReplicas: Invalid"},
		{"horizontalpodautoscalers", "spec: {scaleTargetRef: {kind: D, name: d}, maxReplicas: 1, minReplicas: 2}", "", "spec.maxReplicas: Invalid"},
		{"horizontalpodautoscalers", "spec: {scaleTargetRef: {name: d}, maxReplicas: 1}", "", "spec.scaleTargetRef.kind: Required"},
		{"horizontalpodautoscalers", "spec: {scaleTargetRef: {kind: D, name: d}, maxReplicas: 1, metrics: [{type: Pods}]}", "", "spec.metrics[0].pods: Required"},
		{"poddisruptionbudgets", "spec: {minAvailable: 1, maxUnavailable: 1}", "", "spec: Invalid"},
		{"ingresses", "spec: {}", "", "spec: Invalid"},
		{"ingresses", "spec: {defaultBackend: {service: {name: s}}}", "", "spec.defaultBackend.service: Required"},
		{"ingresses", "spec: {rules: [{http: {paths: [{path: x, pathType: Exact, backend: {service: {name: s, port: {number: 1}}}}]}}]}", "", "spec.rules[0].http.paths[0].path: Invalid"},
		{"ingresses", "spec: {rules: [{http: {paths: [{path: /, backend: {service: {name: s, port: {number: 1}}}}]}}]}", "", "spec.rules[0].http.paths[0].pathType: Required"},
		{"networkpolicies", "spec: {ingress: [{from: [{ipBlock: {cidr: x}}]}]}", "", "spec.ingress[0].from[0].ipBlock.cidr: Invalid"},
		{"persistentvolumeclaims", "spec: {resources: {requests: {storage: 1Gi}}}", "", "spec.accessModes: Required"},
		{"persistentvolumeclaims", "spec: {accessModes: [Odd], resources: {requests: {storage: 1Gi}}}", "", "spec.accessModes[0]: Unsupported"},
		{"persistentvolumeclaims", "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}", "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}",
			"spec.resources.requests.storage: Forbidden"},
		{"persistentvolumes", "spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}}", "", "spec: Required"},
		{"storageclasses", "{}", "", "provisioner: Required"},
		{"storageclasses", "provisioner: a", "provisioner: b", "provisioner: Forbidden"},
		{"priorityclasses", "value: 2000000000", "", "value: Forbidden"},
		{"priorityclasses", "value: 1", "value: 2", "value: Invalid"},
		{"runtimeclasses", "{}", "", "handler: Required"},
	} {
		t.Run(c.resource+" "+c.want, func(t *testing.T) {
			r := resource(t, c.resource)
			obj := made(t, r, c.object)
			errs := r.Strategy.Validate(context.Background(), obj)
			if c.old != "" {
				errs = append(errs, r.Strategy.ValidateUpdate(context.Background(), obj, made(t, r, c.old))...)
			}
			if !holds(errs, c.want) {
				t.Errorf("%s\n got %v\nwant %q", c.object, errs, c.want)
			}
		})
	}
}

func holds(errs field.ErrorList, want string) bool {
	for _, err := range errs {
		if want != "" && strings.HasPrefix(err.Error(), want) {
			return true
		}
	}
	return want == "" && len(errs) == 0
}

func TestTablesAreThoseKubectlUsersKnow(t *testing.T) {
	columns := map[string]string{
		"nodes":                    "Name, Status, Roles, Age, Version, (Internal-IP), (External-IP), (OS-Image), (Kernel-Version), (Container-Runtime)",
		"pods":                     "Name, Ready, Status, Restarts, Age, (IP), (Node), (Nominated Node), (Readiness Gates)",
		"persistentvolumes":        "Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age, (VolumeMode)",
		"persistentvolumeclaims":   "Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, (VolumeMode)",
		"podtemplates":             "Name, Containers, Images, Pod Labels",
		"replicationcontrollers":   "Name, Desired, Current, Ready, Age, (Containers), (Images), (Selector)",
		"controllerrevisions":      "Name, Controller, Revision, Age",
		"daemonsets":               "Name, Desired, Current, Ready, Up-to-date, Available, Node Selector, Age, (Containers), (Images), (Selector)",
		"deployments":              "Name, Ready, Up-to-date, Available, Age, (Containers), (Images), (Selector)",
		"replicasets":              "Name, Desired, Current, Ready, Age, (Containers), (Images), (Selector)",
		"statefulsets":             "Name, Ready, Age, (Containers), (Images)",
		"horizontalpodautoscalers": "Name, Reference, Targets, MinPods, MaxPods, Replicas, Age",
		"cronjobs":                 "Name, Schedule, Timezone, Suspend, Active, Last Schedule, Age, (Containers), (Images), (Selector)",
		"jobs":                     "Name, Status, Completions, Duration, Age, (Containers), (Images), (Selector)",
		"ingressclasses":           "Name, Controller, Parameters, Age",
		"ingresses":                "Name, Class, Hosts, Address, Ports, Age",
		"ipaddresses":              "Name, ParentRef",
		"networkpolicies":          "Name, Pod-Selector, Age",
		"servicecidrs":             "Name, CIDRs, Age",
		"poddisruptionbudgets":     "Name, Min Available, Max Unavailable, Allowed Disruptions, Age",
		"runtimeclasses":           "Name, Handler, Age",
		"priorityclasses":          "Name, Value, Global-Default, Age, PreemptionPolicy",
		"csidrivers":               "Name, AttachRequired, PodInfoOnMount, StorageCapacity, TokenRequests, RequiresRepublish, Modes, Age",
		"csinodes":                 "Name, Drivers, Age",
		"csistoragecapacities":     "Name, StorageClassName, Capacity",
		"storageclasses":           "Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age",
		"volumeattachments":        "Name, Attacher, PV, Node, Attached, Age",
		"volumeattributesclasses":  "Name, DriverName, Age",
	}
	for _, r := range workload.Resources() {
		t.Run(r.Name, func(t *testing.T) {
			var got []string
			for _, c := range r.Table.Columns {
				name := c.Name
				if c.Priority > 0 {
					name = "(" + name + ")"
				}
				if c.Description == "" {
					t.Errorf("column %q has no description", c.Name)
				}
				got = append(got, name)
			}
			if all := strings.Join(got, ", "); all != columns[r.Name] {
				t.Errorf("columns\n got %s\nwant %s", all, columns[r.Name])
			}
			if cells := r.Table.Cells(r.New()); len(cells) != len(got) {
				t.Errorf("%d cells of an empty object for %d columns", len(cells), len(got))
			}
			if errs := r.Strategy.Validate(context.Background(), r.New()); strings.Contains(fmt.Sprint(errs), "%!") {
				t.Errorf("of an empty object: %v", errs)
			}
		})
	}
}

func TestPodsGetTheirServiceAccount(t *testing.T) {
	none := false
	for _, c := range []struct {
		name    string
		pod     corev1.PodSpec
		account *corev1.ServiceAccount
		volumes int
		refused bool
	}{
		{name: "the default one and its token", account: &corev1.ServiceAccount{}, volumes: 1},
		{name: "no token when the account wants none", account: &corev1.ServiceAccount{AutomountServiceAccountToken: &none}},
		{name: "no token when the pod wants none", pod: corev1.PodSpec{AutomountServiceAccountToken: &none}, account: &corev1.ServiceAccount{}},
		{name: "none when it is missing", pod: corev1.PodSpec{ServiceAccountName: "x"}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			admission := &workload.Accounts{Read: func(_ context.Context, _, name string) (*corev1.ServiceAccount, error) {
				if c.account == nil {
					return nil, apierrors.NewNotFound(corev1.Resource("serviceaccounts"), name)
				}
				return c.account, nil
			}}
			c.pod.Containers = []corev1.Container{{Name: "c"}}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: c.pod}
			err := admission.Admit(t.Context(), &registry.Request{Operation: registry.Create, Resource: corev1.SchemeGroupVersion.WithResource("pods"), Namespace: "ns", Object: pod})
			if c.refused {
				if !apierrors.IsForbidden(err) {
					t.Errorf("got %v, want it to be forbidden", err)
				}
				return
			}
			if err != nil || pod.Spec.ServiceAccountName != "default" || len(pod.Spec.Volumes) != c.volumes || len(pod.Spec.Containers[0].VolumeMounts) != c.volumes {
				t.Errorf("got %v, %+v", err, pod.Spec)
			}
		})
	}
	broken := &workload.Accounts{Read: func(context.Context, string, string) (*corev1.ServiceAccount, error) {
		return nil, errors.New("out of reach")
	}}
	err := broken.Admit(t.Context(), &registry.Request{Operation: registry.Create, Resource: corev1.SchemeGroupVersion.WithResource("pods"), Object: &corev1.Pod{}})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "out of reach") {
		t.Errorf("got %v", err)
	}
}

// What every write of a kind with a pod template runs.
func BenchmarkDeploymentIsFilledAndChecked(b *testing.B) {
	r := resource(b, "deployments")
	obj := made(b, r, "spec: {"+template+"}")
	b.ReportAllocs()
	for b.Loop() {
		r.Strategy.Default(obj)
		if errs := r.Strategy.Validate(b.Context(), obj); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

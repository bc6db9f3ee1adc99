package e2e

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// garden is a namespace in which things own each other.
type garden struct {
	*portico
	client    *kubernetes.Clientset
	namespace string
}

func newGarden(t *testing.T, p *portico) *garden {
	t.Helper()
	g := &garden{portico: p}
	g.connect(t)
	made, err := g.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "garden-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.namespace = made.Name
	return g
}

func (g *garden) connect(t *testing.T) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", g.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if g.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
}

// plant makes a config map with owners.
func (g *garden) plant(t *testing.T, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	t.Helper()
	made, err := g.client.CoreV1().ConfigMaps(g.namespace).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// ownedBy is a reference to a config map.
func ownedBy(owner *corev1.ConfigMap, blocks bool) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, BlockOwnerDeletion: &blocks}
}

func (g *garden) has(t *testing.T, name string) bool {
	t.Helper()
	_, err := g.client.CoreV1().ConfigMaps(g.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func (g *garden) delete(t *testing.T, name, cascade string) {
	t.Helper()
	g.kubectl(t, "-n", g.namespace, "delete", "configmap", name, "--cascade="+cascade, "--timeout=60s")
}

func (g *garden) goes(t *testing.T, name string) {
	t.Helper()
	eventually(t, name+" is collected", func() bool { return !g.has(t, name) })
}

// stays tells of what must not be collected. It waits until something that was made after has been.
func (g *garden) stays(t *testing.T, name string) {
	t.Helper()
	marker := "marker-of-" + name
	g.plant(t, marker, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: types.UID("nobody-" + name)})
	g.goes(t, marker)
	if !g.has(t, name) {
		t.Errorf("%s was collected", name)
	}
}

func TestGarbageIsCollected(t *testing.T) {
	p := startPortico(t)

	t.Run("background", func(t *testing.T) {
		g := newGarden(t, p)
		root := g.plant(t, "root")
		child := g.plant(t, "child", ownedBy(root, false))
		g.plant(t, "grandchild", ownedBy(child, true))
		g.plant(t, "stranger")
		g.delete(t, "root", "background")
		g.goes(t, "child")
		g.goes(t, "grandchild")
		g.stays(t, "stranger")
	})
	t.Run("foreground", func(t *testing.T) {
		g := newGarden(t, p)
		root := g.plant(t, "root")
		child := g.plant(t, "child", ownedBy(root, true))
		g.plant(t, "grandchild", ownedBy(child, true))
		g.plant(t, "loose", ownedBy(root, false))
		held := g.plant(t, "held", ownedBy(root, true))
		held.Finalizers = []string{"example.com/held"}
		if _, err := g.client.CoreV1().ConfigMaps(g.namespace).Update(t.Context(), held, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		g.kubectl(t, "-n", g.namespace, "delete", "configmap", "root", "--cascade=foreground", "--wait=false")
		g.goes(t, "grandchild")
		g.goes(t, "child")
		g.stays(t, "root") // it waits for what is held
		g.kubectl(t, "-n", g.namespace, "patch", "configmap", "held", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		g.goes(t, "held")
		g.goes(t, "root")
		g.goes(t, "loose")
	})
	t.Run("orphan", func(t *testing.T) {
		g := newGarden(t, p)
		root := g.plant(t, "root")
		g.plant(t, "child", ownedBy(root, true))
		g.delete(t, "root", "orphan")
		g.stays(t, "child")
		child, err := g.client.CoreV1().ConfigMaps(g.namespace).Get(t.Context(), "child", metav1.GetOptions{})
		if err != nil || len(child.OwnerReferences) != 0 {
			t.Errorf("the orphan still refers to its owner: %+v, %v", child, err)
		}
	})
	t.Run("one of two owners", func(t *testing.T) {
		g := newGarden(t, p)
		one, two := g.plant(t, "one"), g.plant(t, "two")
		g.plant(t, "child", ownedBy(one, true), ownedBy(two, true))
		g.delete(t, "one", "background")
		eventually(t, "the owner that is gone is forgotten", func() bool {
			child, err := g.client.CoreV1().ConfigMaps(g.namespace).Get(t.Context(), "child", metav1.GetOptions{})
			return err == nil && len(child.OwnerReferences) == 1 && child.OwnerReferences[0].UID == two.UID
		})
		g.delete(t, "two", "background")
		g.goes(t, "child")
	})
	t.Run("circle", func(t *testing.T) {
		g := newGarden(t, p)
		one := g.plant(t, "one")
		two := g.plant(t, "two", ownedBy(one, true))
		one.OwnerReferences = []metav1.OwnerReference{ownedBy(two, true)}
		if _, err := g.client.CoreV1().ConfigMaps(g.namespace).Update(t.Context(), one, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		g.delete(t, "one", "foreground")
		g.goes(t, "two")
	})
	t.Run("across groups and scopes", func(t *testing.T) {
		g := newGarden(t, p)
		role, err := g.client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: g.namespace}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		child := g.plant(t, "child", metav1.OwnerReference{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: role.Name, UID: role.UID})
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "grandchild", OwnerReferences: []metav1.OwnerReference{ownedBy(child, false)}},
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "view"},
		}
		if _, err := g.client.RbacV1().RoleBindings(g.namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		g.stays(t, "child")
		g.kubectl(t, "delete", "clusterrole", role.Name)
		g.goes(t, "child")
		eventually(t, "the role binding is collected", func() bool {
			_, err := g.client.RbacV1().RoleBindings(g.namespace).Get(t.Context(), "grandchild", metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})
	t.Run("an owner that never was", func(t *testing.T) {
		g := newGarden(t, p)
		root := g.plant(t, "root")
		other := ownedBy(root, false)
		other.UID = "of-an-earlier-root"
		g.plant(t, "late", other)
		g.goes(t, "late")
		g.stays(t, "root")
	})
	t.Run("an owner of a kind that nobody serves", func(t *testing.T) {
		g := newGarden(t, p)
		g.plant(t, "kept", metav1.OwnerReference{APIVersion: "unknown.example.com/v1", Kind: "Thing", Name: "x", UID: "x"})
		g.stays(t, "kept")
	})
	t.Run("an owner in a namespace of what is in none", func(t *testing.T) {
		g := newGarden(t, p)
		root := g.plant(t, "root")
		_, err := g.client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: g.namespace, OwnerReferences: []metav1.OwnerReference{ownedBy(root, false)}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		g.delete(t, "root", "background")
		g.untilKubectl(t, "OwnerRefInvalidNamespace", "get", "events", "-A", "--field-selector", "involvedObject.name="+g.namespace)
		g.kubectl(t, "get", "clusterrole", g.namespace)
	})
}

// Owners and what they own may be kept by different servers. While one of them does not answer, nothing is taken for garbage.
func TestGarbageIsCollectedAcrossServers(t *testing.T) {
	p := startPortico(t)
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")
	p.untilKubectl(t, "wardle.example.com/v1alpha1", "api-resources")
	g := newGarden(t, p)
	flunder := func(name, owners string) string {
		manifest := "apiVersion: wardle.example.com/v1alpha1\nkind: Flunder\nmetadata: {name: " + name + ", ownerReferences: [" + owners + "]}\n"
		eventually(t, "the sample knows the namespace", func() bool {
			_, _, err := g.tryKubectl(t, manifest, "-n", g.namespace, "apply", "-f", "-")
			return err == nil
		})
		return g.kubectl(t, "-n", g.namespace, "get", "flunder", name, "-o", "jsonpath={.metadata.uid}")
	}
	ofFlunder := func(name, uid string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "wardle.example.com/v1alpha1", Kind: "Flunder", Name: name, UID: types.UID(uid)}
	}
	noFlunders := func() bool { return g.kubectl(t, "-n", g.namespace, "get", "flunders", "-o", "name") == "" }

	root := g.plant(t, "root")
	there := flunder("there", "{apiVersion: v1, kind: ConfigMap, name: root, uid: "+string(root.UID)+", blockOwnerDeletion: true}")
	g.plant(t, "back", ofFlunder("there", there))
	g.stays(t, "back")
	g.delete(t, "root", "foreground")
	eventually(t, "the flunder is collected", noFlunders)
	g.goes(t, "back")

	away := flunder("away", "")
	g.plant(t, "waiting", ofFlunder("away", away))
	sample.kill()
	g.plant(t, "doubtful", ofFlunder("away", away))
	g.stays(t, "waiting")
	g.stays(t, "doubtful")
	sample.start(t)
	g.untilKubectl(t, "deleted", "-n", g.namespace, "delete", "flunder", "away")
	g.goes(t, "waiting")
	g.goes(t, "doubtful")
}

// What a collector had begun is finished by the next one, whatever ended the first.
func TestADeletionThatWaitsOutlivesAKill(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	root := g.plant(t, "root")
	held := g.plant(t, "held", ownedBy(root, true))
	held.Finalizers = []string{"example.com/held"}
	if _, err := g.client.CoreV1().ConfigMaps(g.namespace).Update(t.Context(), held, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		g.plant(t, fmt.Sprint("child-", i), ownedBy(root, true))
	}
	g.kubectl(t, "-n", g.namespace, "delete", "configmap", "root", "--cascade=foreground", "--wait=false")
	p.kill()

	again := restartPortico(t, p.dataDir)
	g.portico = again
	g.connect(t)
	g.goes(t, "child-0")
	g.goes(t, "child-199")
	g.stays(t, "root")
	g.kubectl(t, "-n", g.namespace, "patch", "configmap", "held", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	g.goes(t, "root")
}

func TestACollectorCanBeLeftOut(t *testing.T) {
	p := startPortico(t, "--enable-garbage-collector=false")
	g := newGarden(t, p)
	root := g.plant(t, "root")
	g.plant(t, "child", ownedBy(root, true))
	g.kubectl(t, "-n", g.namespace, "delete", "configmap", "root", "--cascade=foreground", "--wait=false")
	if !g.has(t, "child") || !g.has(t, "root") {
		t.Error("somebody collects")
	}
}

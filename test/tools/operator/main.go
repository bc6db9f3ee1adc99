// Command operator is a controller as people write them with controller-runtime: it is elected, reads from a cache, holds
// objects with a finalizer, owns what it makes, and writes events. For every config map that is labelled garden=bed it
// keeps a secret with the same data, and when the bed goes it leaves its name in a config map called graves. Its webhooks
// complete beds and judge them.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	label     = "garden"
	finalizer = "example.com/gardener"
	graves    = "graves"
)

func main() {
	ctrl.SetLogger(klog.Background())
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

// run works in a namespace under a name until it is told to end. hooks are the port of webhooks and the folder with their
// certificate; without them there are none.
func run(namespace, name string, hooks []string) error {
	lease, renew, retry := 3*time.Second, 2*time.Second, 500*time.Millisecond
	options := ctrl.Options{
		Scheme:         clientgoscheme.Scheme,
		Metrics:        metricsserver.Options{BindAddress: "0"},
		Cache:          cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		LeaderElection: true, LeaderElectionID: "gardener.example.com", LeaderElectionNamespace: namespace, LeaderElectionReleaseOnCancel: true,
		LeaseDuration: &lease, RenewDeadline: &renew, RetryPeriod: &retry,
	}
	var err error
	if len(hooks) == 2 {
		if options.WebhookServer, err = webhookServer(hooks[0], hooks[1]); err != nil {
			return err
		}
	}
	mgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), options)
	if err != nil {
		return err
	}
	if len(hooks) == 2 {
		if err := serveWebhooks(mgr, name); err != nil {
			return err
		}
	}
	g := &gardener{Client: mgr.GetClient(), events: mgr.GetEventRecorder("example.com/gardener"), name: name}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &corev1.Secret{}, "owner", owners); err != nil {
		return err
	}
	labelled, err := predicate.LabelSelectorPredicate(metav1.LabelSelector{MatchLabels: map[string]string{label: "bed"}})
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(mgr).Named("gardener").
		For(&corev1.ConfigMap{}, builder.WithPredicates(labelled)).
		Owns(&corev1.Secret{}).
		Complete(g)
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

// owners is the index by which secrets are found.
func owners(obj client.Object) []string {
	var names []string
	for _, ref := range obj.GetOwnerReferences() {
		names = append(names, ref.Name)
	}
	return names
}

type gardener struct {
	client.Client
	events events.EventRecorder
	name   string
}

// Reconcile makes the secret of a bed right, or buries the bed.
func (g *gardener) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var bed corev1.ConfigMap
	if err := g.Get(ctx, request.NamespacedName, &bed); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !bed.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, g.bury(ctx, &bed)
	}
	if controllerutil.AddFinalizer(&bed, finalizer) {
		if err := g.Update(ctx, &bed); err != nil {
			return ctrl.Result{}, err
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: bed.Namespace, Name: bed.Name}}
	done, err := controllerutil.CreateOrUpdate(ctx, g.Client, secret, func() error {
		secret.Data = map[string][]byte{}
		for key, value := range bed.Data {
			secret.Data[key] = []byte(value)
		}
		secret.Annotations = map[string]string{"by": g.name}
		return controllerutil.SetControllerReference(&bed, secret, g.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if done != controllerutil.OperationResultNone {
		g.events.Eventf(&bed, secret, corev1.EventTypeNormal, "Watered", "Watering", "the secret was %s", done)
	}
	return ctrl.Result{}, nil
}

// bury notes the end of a bed by server-side apply, and lets it go.
func (g *gardener) bury(ctx context.Context, bed *corev1.ConfigMap) error {
	if !controllerutil.ContainsFinalizer(bed, finalizer) {
		return nil
	}
	grave := corev1apply.ConfigMap(graves, bed.Namespace).WithData(map[string]string{bed.Name: g.name})
	if err := g.Apply(ctx, grave, client.FieldOwner("gardener-"+bed.Name), client.ForceOwnership); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(bed, finalizer)
	return client.IgnoreNotFound(g.Update(ctx, bed))
}

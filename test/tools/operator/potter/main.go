// Command potter is an operator of a resource of its own, which it has two versions of: it converts between them, completes and judges what is
// ordered, fires it, which the status tells, and sweeps up the shards before it is gone.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "github.com/portico-api/portico/test/tools/operator/potter/v1"
	v2 "github.com/portico-api/portico/test/tools/operator/potter/v2"
)

const finalizer = "pottery.example.com/broom"

func main() {
	ctrl.SetLogger(klog.Background())
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "potter:", err)
		os.Exit(1)
	}
}

// run works until it is told to end. Its webhooks are served on a port of the loopback address, with the certificate in a folder.
func run(port, certificates string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme, v2.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	mgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:        scheme,
		Metrics:       metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: number, CertDir: certificates}),
	})
	if err != nil {
		return err
	}
	if err := ctrl.NewWebhookManagedBy(mgr, &v2.Pot{}).WithDefaulter(orders{}).WithValidator(orders{}).Complete(); err != nil {
		return err
	}
	if err := ctrl.NewControllerManagedBy(mgr).For(&v2.Pot{}).Complete(&potter{mgr.GetClient()}); err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

type potter struct{ client.Client }

// Reconcile fires a pot, or sweeps up what is left of it.
func (p *potter) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var pot v2.Pot
	if err := p.Get(ctx, request.NamespacedName, &pot); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !pot.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, p.sweep(ctx, &pot)
	}
	if controllerutil.AddFinalizer(&pot, finalizer) {
		return ctrl.Result{}, p.Update(ctx, &pot) // the rest when this is seen
	}
	want := v2.PotStatus{Phase: "Fired", Volume: pot.Spec.Width * pot.Spec.Width * pot.Spec.Height}
	if pot.Status == want {
		return ctrl.Result{}, nil
	}
	pot.Status = want
	return ctrl.Result{}, p.Status().Update(ctx, &pot)
}

// sweep leaves a shard by server-side apply, and lets the pot go.
func (p *potter) sweep(ctx context.Context, pot *v2.Pot) error {
	shard := corev1apply.ConfigMap("shards", pot.Namespace).WithData(map[string]string{pot.Name: pot.Spec.Glaze})
	if err := p.Apply(ctx, shard, client.FieldOwner("potter-"+pot.Name), client.ForceOwnership); err != nil {
		return err
	}
	if !controllerutil.RemoveFinalizer(pot, finalizer) {
		return nil
	}
	return client.IgnoreNotFound(p.Update(ctx, pot))
}

// orders get a glaze, which must not be of lead.
type orders struct{}

func (orders) Default(_ context.Context, pot *v2.Pot) error {
	if pot.Spec.Glaze == "" {
		pot.Spec.Glaze = "clear"
	}
	return nil
}

func (o orders) ValidateCreate(_ context.Context, pot *v2.Pot) (admission.Warnings, error) {
	return o.judge(pot)
}

func (o orders) ValidateUpdate(_ context.Context, _, pot *v2.Pot) (admission.Warnings, error) {
	return o.judge(pot)
}

func (orders) judge(pot *v2.Pot) (admission.Warnings, error) {
	switch {
	case pot.Spec.Glaze == "lead":
		return nil, errors.New("lead is poison")
	case pot.Spec.Height > 5*pot.Spec.Width:
		return admission.Warnings{"it will fall over"}, nil
	}
	return nil, nil
}

func (orders) ValidateDelete(context.Context, *v2.Pot) (admission.Warnings, error) { return nil, nil }

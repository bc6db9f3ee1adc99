package main

import (
	"context"
	"errors"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// webhookServer serves the gardener's webhooks on a port, with the certificate in a folder.
func webhookServer(port, certificates string) (webhook.Server, error) {
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	return webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: number, CertDir: certificates}), nil
}

// serveWebhooks adds what the gardener has to say about beds when they are written.
func serveWebhooks(mgr ctrl.Manager, name string) error {
	return ctrl.NewWebhookManagedBy(mgr, &corev1.ConfigMap{}).WithDefaulter(beds{name}).WithValidator(beds{name}).Complete()
}

// beds gives every bed earth, and does not like stones.
type beds struct{ name string }

func (b beds) Default(_ context.Context, bed *corev1.ConfigMap) error {
	if bed.Data == nil {
		bed.Data = map[string]string{}
	}
	if bed.Data["earth"] == "" {
		bed.Data["earth"] = "from " + b.name
	}
	return nil
}

func (b beds) ValidateCreate(_ context.Context, bed *corev1.ConfigMap) (admission.Warnings, error) {
	return b.judge(bed)
}

func (b beds) ValidateUpdate(_ context.Context, _, bed *corev1.ConfigMap) (admission.Warnings, error) {
	return b.judge(bed)
}

func (b beds) judge(bed *corev1.ConfigMap) (admission.Warnings, error) {
	switch bed.Data["flower"] {
	case "stone":
		return nil, errors.New("stones do not flower")
	case "weed":
		return admission.Warnings{"weeds grow fast"}, nil
	}
	return nil, nil
}

func (b beds) ValidateDelete(_ context.Context, bed *corev1.ConfigMap) (admission.Warnings, error) {
	if bed.Data["flower"] == "oak" {
		return nil, errors.New("oaks stay")
	}
	return nil, nil
}

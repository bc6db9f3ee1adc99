package workload

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

const (
	defaultAccount = "default"
	mirrorPod      = "kubernetes.io/config.mirror"
	tokenPath      = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenVolume    = "kube-api-access-"
	rootCAMap      = "kube-root-ca.crt"
	tokenSeconds   = 3607 // what marks a token for a pod (contract 4.2)
)

// Accounts is the admission of pods that gives each of them a service account, as kube-apiserver does: which one, its
// secrets for pulling images, and a volume with its token.
type Accounts struct {
	// Read finds an account.
	Read func(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
}

// Admit settles the account of a new pod.
func (a *Accounts) Admit(ctx context.Context, r *registry.Request) error {
	if r.Operation != registry.Create || r.Subresource != "" || r.Resource.Group != "" || r.Resource.Resource != "pods" {
		return nil
	}
	pod, ok := r.Object.(*corev1.Pod)
	if !ok {
		return nil
	}
	if _, mirror := pod.Annotations[mirrorPod]; mirror {
		return nil
	}
	preset(&pod.Spec.ServiceAccountName, defaultAccount)
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	account, err := a.find(ctx, r.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return apierrors.NewForbidden(r.Resource.GroupResource(), pod.Name,
			fmt.Errorf("error looking up service account %s/%s: %w", r.Namespace, pod.Spec.ServiceAccountName, err))
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = slices.Clone(account.ImagePullSecrets)
	}
	if mountsToken(pod, account) {
		mountToken(pod)
	}
	return nil
}

// Validate has nothing to add.
func (a *Accounts) Validate(context.Context, *registry.Request) error { return nil }

// looks at an account, and how long apart, before a pod is refused: that of a new namespace is made a moment after it.
const (
	looks   = 10
	between = 50 * time.Millisecond
)

func (a *Accounts) find(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	for look := 1; ; look++ {
		account, err := a.Read(ctx, namespace, name)
		if err == nil || !apierrors.IsNotFound(err) || look == looks {
			return account, err
		}
		wait := time.NewTimer(between)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil, err
		case <-wait.C:
		}
	}
}

// mountsToken: the pod decides, then its account; a token that nobody refuses is mounted.
func mountsToken(pod *corev1.Pod, account *corev1.ServiceAccount) bool {
	switch {
	case pod.Spec.AutomountServiceAccountToken != nil:
		return *pod.Spec.AutomountServiceAccountToken
	case account.AutomountServiceAccountToken != nil:
		return *account.AutomountServiceAccountToken
	}
	return true
}

// mountToken adds the token's volume, and mounts it where no other volume is mounted at its place.
func mountToken(pod *corev1.Pod) {
	name := tokenVolume + rand.String(5)
	needed := false
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return path.Clean(m.MountPath) == tokenPath }) {
				continue
			}
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenPath})
			needed = true
		}
	}
	if needed {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: tokenSources()}})
	}
}

func tokenSources() *corev1.ProjectedVolumeSource {
	seconds := int64(tokenSeconds)
	source := &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
		{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: rootCAMap},
			Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
		}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
		}}},
	}}
	declare.SetDefault(&source.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
	return source
}

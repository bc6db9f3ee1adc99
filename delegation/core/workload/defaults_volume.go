package workload

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// addVolumeDefaults says what volumes are when little is said of them.
func addVolumeDefaults(r *rules) {
	byDefault(r, func(v *corev1.Volume) {
		if sources(&v.VolumeSource) == 0 {
			v.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	})
	byDefault(r, func(s *corev1.SecretVolumeSource) {
		declare.SetDefault(&s.DefaultMode, corev1.SecretVolumeSourceDefaultMode)
	})
	byDefault(r, func(s *corev1.ConfigMapVolumeSource) {
		declare.SetDefault(&s.DefaultMode, corev1.ConfigMapVolumeSourceDefaultMode)
	})
	byDefault(r, func(s *corev1.DownwardAPIVolumeSource) {
		declare.SetDefault(&s.DefaultMode, corev1.DownwardAPIVolumeSourceDefaultMode)
	})
	byDefault(r, func(s *corev1.ProjectedVolumeSource) {
		declare.SetDefault(&s.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
	})
	byDefault(r, func(p *corev1.ServiceAccountTokenProjection) { declare.SetDefault(&p.ExpirationSeconds, int64(60*60)) })
	byDefault(r, func(s *corev1.HostPathVolumeSource) { declare.SetDefault(&s.Type, corev1.HostPathUnset) })
	byDefault(r, func(s *corev1.ISCSIVolumeSource) { preset(&s.ISCSIInterface, "default") })
	byDefault(r, func(s *corev1.ISCSIPersistentVolumeSource) { preset(&s.ISCSIInterface, "default") })

	byDefault(r, func(s *corev1.PersistentVolumeSpec) {
		preset(&s.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
		declare.SetDefault(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	})
	byDefault(r, func(s *corev1.PersistentVolumeClaimSpec) {
		declare.SetDefault(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	})
}

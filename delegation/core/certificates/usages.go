package certificates

import (
	"crypto/x509"
	"maps"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
)

// keyUsages and extendedUsages are what usages mean in a certificate.
func keyUsages() map[certificatesv1.KeyUsage]x509.KeyUsage {
	return map[certificatesv1.KeyUsage]x509.KeyUsage{
		certificatesv1.UsageSigning:           x509.KeyUsageDigitalSignature,
		certificatesv1.UsageDigitalSignature:  x509.KeyUsageDigitalSignature,
		certificatesv1.UsageContentCommitment: x509.KeyUsageContentCommitment,
		certificatesv1.UsageKeyEncipherment:   x509.KeyUsageKeyEncipherment,
		certificatesv1.UsageKeyAgreement:      x509.KeyUsageKeyAgreement,
		certificatesv1.UsageDataEncipherment:  x509.KeyUsageDataEncipherment,
		certificatesv1.UsageCertSign:          x509.KeyUsageCertSign,
		certificatesv1.UsageCRLSign:           x509.KeyUsageCRLSign,
		certificatesv1.UsageEncipherOnly:      x509.KeyUsageEncipherOnly,
		certificatesv1.UsageDecipherOnly:      x509.KeyUsageDecipherOnly,
	}
}

func extendedUsages() map[certificatesv1.KeyUsage]x509.ExtKeyUsage {
	return map[certificatesv1.KeyUsage]x509.ExtKeyUsage{
		certificatesv1.UsageAny:             x509.ExtKeyUsageAny,
		certificatesv1.UsageServerAuth:      x509.ExtKeyUsageServerAuth,
		certificatesv1.UsageClientAuth:      x509.ExtKeyUsageClientAuth,
		certificatesv1.UsageCodeSigning:     x509.ExtKeyUsageCodeSigning,
		certificatesv1.UsageEmailProtection: x509.ExtKeyUsageEmailProtection,
		certificatesv1.UsageSMIME:           x509.ExtKeyUsageEmailProtection,
		certificatesv1.UsageIPsecEndSystem:  x509.ExtKeyUsageIPSECEndSystem,
		certificatesv1.UsageIPsecTunnel:     x509.ExtKeyUsageIPSECTunnel,
		certificatesv1.UsageIPsecUser:       x509.ExtKeyUsageIPSECUser,
		certificatesv1.UsageTimestamping:    x509.ExtKeyUsageTimeStamping,
		certificatesv1.UsageOCSPSigning:     x509.ExtKeyUsageOCSPSigning,
		certificatesv1.UsageMicrosoftSGC:    x509.ExtKeyUsageMicrosoftServerGatedCrypto,
		certificatesv1.UsageNetscapeSGC:     x509.ExtKeyUsageNetscapeServerGatedCrypto,
	}
}

func isUsage(usage certificatesv1.KeyUsage) bool {
	_, plain := keyUsages()[usage]
	_, extended := extendedUsages()[usage]
	return plain || extended
}

func usages() []certificatesv1.KeyUsage {
	return slices.Sorted(func(yield func(certificatesv1.KeyUsage) bool) {
		for usage := range keyUsages() {
			if !yield(usage) {
				return
			}
		}
		maps.Keys(extendedUsages())(yield)
	})
}

// used writes usages as a certificate has them.
func used(all []certificatesv1.KeyUsage) (plain x509.KeyUsage, extended []x509.ExtKeyUsage) {
	plains, extendeds := keyUsages(), extendedUsages()
	for _, usage := range all {
		plain |= plains[usage]
		if e, ok := extendeds[usage]; ok && !slices.Contains(extended, e) {
			extended = append(extended, e)
		}
	}
	slices.Sort(extended)
	return plain, extended
}

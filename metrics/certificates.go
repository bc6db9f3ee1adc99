package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificates shows when the certificates of this server end. Reading asks for those that are in use now.
type Certificates struct{ registry prometheus.Registerer }

func newCertificates(r prometheus.Registerer) *Certificates { return &Certificates{r} }

// Show adds a certificate: what it is for ("serving", "client-ca", …) and when it ends.
func (c *Certificates) Show(name string, end func() time.Time) {
	if c == nil {
		return
	}
	c.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "portico_certificate_expiration_timestamp_seconds",
		Help:        "[ALPHA] When a certificate that this server works with ends, in seconds since the Unix epoch; of several in one file, the first that ends.",
		ConstLabels: prometheus.Labels{"certificate": name},
	}, func() float64 { return float64(end().Unix()) }))
}

package tlsconfig

import (
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

var expiryDescription = prometheus.NewDesc("tls_certificate_expiry_timestamp_seconds",
	"Unix time at which the certificate in use expires, by its use: server, etcd_client or css_client.",
	[]string{"use"}, nil)

// expiry reports when the certificates in use expire. Its copies follow the files by the same rules as the copies
// that connections use: a file that cannot be used leaves the earlier certificate in use.
type expiry map[string]*Certificates // by use

// RegisterExpiry registers a metric of the certificates in files, by use. Uses without a certificate, and files that
// Load rejects, have no series. The name has no prefix: services register it through
// prometheus.WrapRegistererWithPrefix.
func RegisterExpiry(registerer prometheus.Registerer, files map[string]Files) {
	silent := logrus.New() // the owner of the connections logs changes of the files
	silent.SetOutput(io.Discard)
	loaded := expiry{}
	for use, f := range files {
		if f.Cert == "" {
			continue
		}
		if certificates, err := Load(f, silent); err == nil {
			loaded[use] = certificates
		}
	}
	registerer.MustRegister(loaded)
}

// Describe implements prometheus.Collector.
func (e expiry) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- expiryDescription }

// Collect implements prometheus.Collector.
func (e expiry) Collect(metrics chan<- prometheus.Metric) {
	for use, certificates := range e {
		if own := certificates.newest().own; own != nil {
			metrics <- prometheus.MustNewConstMetric(
				expiryDescription, prometheus.GaugeValue, float64(own.Leaf.NotAfter.Unix()), use)
		}
	}
}

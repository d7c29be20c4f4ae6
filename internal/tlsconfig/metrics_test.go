package tlsconfig_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

// The metric shows the certificate that connections use: a file that cannot be used leaves the earlier one.
func TestRegisterExpiry_FollowsTheCertificateInUse(t *testing.T) {
	ca := testenv.NewCA(t)
	soon, later := time.Now().Add(time.Hour), time.Now().Add(48*time.Hour)
	files := ca.Files("server", testenv.Leaf{NotAfter: soon})
	registry := prometheus.NewRegistry()
	tlsconfig.RegisterExpiry(registry, map[string]tlsconfig.Files{
		"server": files, "etcd_client": {}, "css_client": {Cert: filepath.Join(t.TempDir(), "missing"), Key: "missing"},
	})
	expiry := func() float64 { return testenv.Metric(t, registry, "tls_certificate_expiry_timestamp_seconds") }
	assert.Equal(t, float64(soon.Unix()), expiry(), "uses without a certificate have no series")

	ca.Files("server", testenv.Leaf{NotAfter: later})
	testenv.Eventually(t, func() bool { return expiry() == float64(later.Unix()) })
	require.NoError(t, os.WriteFile(files.Cert, []byte("-----BEGIN"), 0o600))
	time.Sleep(1100 * time.Millisecond) // beyond the interval in which files are not read again
	assert.Equal(t, float64(later.Unix()), expiry())
}

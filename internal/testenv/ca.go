package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/tlsconfig"
)

// CA is a certificate authority; its files are removed with the test.
type CA struct {
	File string // of the certificate

	tb   testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Leaf configures a certificate. The zero value is valid for 127.0.0.1, ::1 and localhost, for servers and clients, and
// for an hour.
type Leaf struct {
	NotAfter   time.Time
	ServerOnly bool // invalid for clients

	OrganizationalUnit string // of the subject, beside the common name
}

// NewCA creates an authority.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	ca := &CA{tb: tb, dir: tb.TempDir(), key: newKey(tb)}
	template := template(tb, "ca")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key)
	require.NoError(tb, err)
	ca.cert, err = x509.ParseCertificate(der)
	require.NoError(tb, err)
	ca.File = filepath.Join(ca.dir, "ca.pem")
	require.NoError(tb, os.WriteFile(ca.File, encode("CERTIFICATE", der), 0o600))
	return ca
}

// Files issues a certificate under name and returns its files and that of the authority. Another call with the same
// name replaces the files.
func (ca *CA) Files(name string, leaf ...Leaf) tlsconfig.Files {
	ca.tb.Helper()
	cert, key := ca.Issue(name, leaf...)
	files := tlsconfig.Files{
		CA: ca.File, Cert: filepath.Join(ca.dir, name+".pem"), Key: filepath.Join(ca.dir, name+".key"),
	}
	require.NoError(ca.tb, os.WriteFile(files.Cert, cert, 0o600))
	require.NoError(ca.tb, os.WriteFile(files.Key, key, 0o600))
	return files
}

// Issue returns a new certificate for name and its key, in PEM form.
func (ca *CA) Issue(name string, leaf ...Leaf) (cert, key []byte) {
	ca.tb.Helper()
	template := template(ca.tb, name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, l := range leaf {
		if !l.NotAfter.IsZero() {
			template.NotAfter = l.NotAfter
		}
		if l.OrganizationalUnit != "" {
			template.Subject.OrganizationalUnit = []string{l.OrganizationalUnit}
		}
		if l.ServerOnly {
			template.ExtKeyUsage = template.ExtKeyUsage[:1]
		}
	}
	own := newKey(ca.tb)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, own.Public(), ca.key)
	require.NoError(ca.tb, err)
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	require.NoError(ca.tb, err)
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret)
}

func template(tb testing.TB, name string) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(tb, err)
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return key
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

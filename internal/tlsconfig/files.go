package tlsconfig

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// environmentPrefix begins a path that names an environment variable with the file's content: env:NAME. Containers that
// have secrets in their environment need no files.
const environmentPrefix = "env:"

// Files are the paths of PEM files, or env:NAME; empty ones are not needed.
type Files struct {
	CA   string // certificates of the authorities that sign the other side's certificates
	Cert string // this side's certificate, followed by the intermediate ones
	Key  string // its key
}

// ListenerFlags defines --tls-cert, --tls-key and --client-ca. Their variables begin with prefix: CSS for CSS_TLS_CERT.
func (f *Files) ListenerFlags(flags *flag.FlagSet, prefix string, getenv func(string) string) {
	flags.StringVar(&f.Cert, "tls-cert", getenv(prefix+"_TLS_CERT"),
		"`file` with the certificate for HTTPS; without it the service speaks plain HTTP")
	flags.StringVar(&f.Key, "tls-key", getenv(prefix+"_TLS_KEY"), "`file` with the key of --tls-cert")
	flags.StringVar(&f.CA, "client-ca", getenv(prefix+"_CLIENT_CA"),
		"`file` with authorities; every client then needs a certificate that one of them has signed")
}

// ValidateListener reports a combination of ListenerFlags that cannot work.
func (f Files) ValidateListener() error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return errors.New("--tls-cert and --tls-key must be set together")
	case f.CA != "" && f.Cert == "":
		return errors.New("--client-ca needs --tls-cert and --tls-key")
	}
	return nil
}

// ClientFlags defines --<of>-ca, --<of>-cert and --<of>-key for connections to the named component, with the variables
// <variables>_CA and so on.
func (f *Files) ClientFlags(flags *flag.FlagSet, of, variables string, getenv func(string) string) {
	flags.StringVar(&f.CA, of+"-ca", getenv(variables+"_CA"),
		"`file` with the authorities of "+of+"'s certificate (default: the system's)")
	flags.StringVar(&f.Cert, of+"-cert", getenv(variables+"_CERT"), "`file` with the certificate to show to "+of)
	flags.StringVar(&f.Key, of+"-key", getenv(variables+"_KEY"), "`file` with the key of --"+of+"-cert")
}

// ValidateClient reports a combination of ClientFlags that cannot work. Https is whether any endpoint has that scheme.
func (f Files) ValidateClient(of string, https bool) error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return fmt.Errorf("--%s-cert and --%s-key must be set together", of, of)
	case f != Files{} && !https:
		return fmt.Errorf("--%s-ca and --%s-cert need an --%s-endpoint https://host:port", of, of, of)
	}
	return nil
}

// contents are the bytes of Files, as strings because those are comparable.
type contents struct{ ca, cert, key string }

func (f Files) read() (contents, error) {
	ca, noCA := readFile(f.CA)
	cert, noCert := readFile(f.Cert)
	key, noKey := readFile(f.Key)
	return contents{ca, cert, key}, cmp.Or(noCA, noCert, noKey)
}

func readFile(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if variable, ok := strings.CutPrefix(name, environmentPrefix); ok {
		content := os.Getenv(variable)
		if content == "" {
			return "", fmt.Errorf("%s: the environment variable is not set or empty", name)
		}
		return content, nil
	}
	read, err := os.ReadFile(name)
	return string(read), err
}

// authorities parses the certificates in text. It rejects a truncated file, which may still be being written.
func authorities(text string) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), false
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN")) {
				return nil, errors.New("a certificate is truncated")
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %s; want certificates only", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, errors.New("no certificate in PEM form")
	}
	return pool, nil
}

func keyPair(c contents) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key)) // checks that key and certificate match
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

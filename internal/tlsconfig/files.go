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
)

// Files are the paths of PEM files; those that are empty are not needed.
type Files struct {
	CA   string // certificates of the authorities whose word counts for the other side
	Cert string // the own certificate, and after it the intermediate ones
	Key  string // its key
}

// ListenerFlags adds --tls-cert, --tls-key and --client-ca, whose variables begin with prefix, such as CSS for CSS_TLS_CERT.
func (f *Files) ListenerFlags(flags *flag.FlagSet, prefix string, getenv func(string) string) {
	flags.StringVar(&f.Cert, "tls-cert", getenv(prefix+"_TLS_CERT"), "`file` with the certificate to serve https with, in place of http")
	flags.StringVar(&f.Key, "tls-key", getenv(prefix+"_TLS_KEY"), "`file` with the key of --tls-cert")
	flags.StringVar(&f.CA, "client-ca", getenv(prefix+"_CLIENT_CA"), "`file` with authorities; every client must then have a certificate of one of them")
}

// ValidateListener reports a combination of ListenerFlags that cannot work.
func (f Files) ValidateListener() error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return errors.New("--tls-cert and --tls-key need each other")
	case f.CA != "" && f.Cert == "":
		return errors.New("--client-ca needs --tls-cert and --tls-key")
	}
	return nil
}

// ClientFlags adds --<of>-ca, --<of>-cert and --<of>-key for connections to what has the name of, and the variables
// <prefix>_<of>_CA and so on.
func (f *Files) ClientFlags(flags *flag.FlagSet, of, variables string, getenv func(string) string) {
	flags.StringVar(&f.CA, of+"-ca", getenv(variables+"_CA"), "`file` with the authorities of "+of+"'s certificate (default: the machine's)")
	flags.StringVar(&f.Cert, of+"-cert", getenv(variables+"_CERT"), "`file` with the certificate to show to "+of)
	flags.StringVar(&f.Key, of+"-key", getenv(variables+"_KEY"), "`file` with the key of --"+of+"-cert")
}

// ValidateClient reports a combination of ClientFlags that cannot work. Https is whether any endpoint has that scheme.
func (f Files) ValidateClient(of string, https bool) error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return fmt.Errorf("--%s-cert and --%s-key need each other", of, of)
	case f != Files{} && !https:
		return fmt.Errorf("--%s-ca and --%s-cert need an --%s-endpoint https://host:port", of, of, of)
	}
	return nil
}

// contents are the bytes of Files, as strings so that they can be compared.
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
	read, err := os.ReadFile(name)
	return string(read), err
}

// authorities reads the certificates in text, all of which must be whole: a file may be read while it is written.
func authorities(text string) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), false
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN")) {
				return nil, errors.New("a certificate is cut off")
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %s, where only certificates should be", block.Type)
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
	pair, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key)) // which sees to it that they belong together
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// Package tlsconfig creates TLS configurations from PEM files and reloads the files after they have changed.
//
// The files are read when a connection is made, at most once a second, so no goroutine runs in between. Open
// connections keep their certificates. A change is a difference in the bytes, so renamed files, swapped symbolic links
// and files written in place all count. Files that cannot be used, such as a certificate whose key is yet to be
// replaced, are logged once, and the earlier ones stay in use.
//
// No library does all of this. The pemfile provider of gRPC reloads on a timer in a goroutine, accepts truncated
// authorities and expired certificates, and logs the private key of a pair that does not match. The exporter-toolkit of
// Prometheus fails handshakes while a file is broken, accepts truncated authorities and has no client side.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// reloadInterval is the least time between two reads of the files.
const reloadInterval = time.Second

// Certificates are the newest usable contents of Files.
type Certificates struct {
	files    Files
	log      logrus.FieldLogger
	interval time.Duration // between two reads of the files

	mu        sync.Mutex
	checkedAt time.Time
	current   *loaded
	rejected  string // the logged reason why the files are not in use
}

// loaded is one state of the files.
type loaded struct {
	from    contents
	trusted *x509.CertPool   // nil without a CA
	own     *tls.Certificate // nil without a pair

	server, optional, selfCheck, client *tls.Config
}

// Load reads the files. Log receives messages about files that replace them.
func Load(files Files, log logrus.FieldLogger) (*Certificates, error) {
	from, err := files.read()
	if err != nil {
		return nil, err
	}
	c := &Certificates{files: files, log: log, interval: reloadInterval, checkedAt: time.Now()}
	if c.current, err = c.load(from); err != nil {
		return nil, err
	}
	if c.current.expired(c.checkedAt) { // a warning only: the other side decides, and some clients do not care
		c.describe(c.current).Warn("certificate expired")
	}
	return c, nil
}

// Server returns the configuration of a listener: TLS 1.2 or later, HTTP/2 or HTTP/1.1. With a CA, clients must show a
// certificate that it has signed.
func (c *Certificates) Server() *tls.Config {
	return c.listener(func(l *loaded) *tls.Config { return l.server })
}

// OptionalServer is Server for a listener whose clients may show no certificate. They need other credentials.
func (c *Certificates) OptionalServer() *tls.Config {
	return c.listener(func(l *loaded) *tls.Config { return l.optional })
}

func (c *Certificates) listener(of func(*loaded) *tls.Config) *tls.Config {
	cfg := of(c.newest()).Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		newest := c.newest()
		if hello.ServerName == selfCheckName {
			return newest.selfCheck, nil
		}
		return of(newest), nil
	}
	return cfg
}

// Client returns the configuration of the next connection to a server. Later connections may need another.
func (c *Certificates) Client() *tls.Config { return c.newest().client.Clone() }

// newest returns the contents of the files, or the earlier ones if the files cannot be used.
func (c *Certificates) newest() *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checkedAt) < c.interval {
		return c.current
	}
	c.checkedAt = now
	from, err := c.files.read()
	if err == nil && from == c.current.from {
		c.rejected = ""
		return c.current
	}
	var fresh *loaded
	if err == nil {
		fresh, err = c.load(from)
	}
	if err == nil && fresh.expired(now) && !c.current.expired(now) {
		err = fmt.Errorf("%s: expired at %s", c.files.Cert, fresh.own.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		if c.rejected != err.Error() {
			c.rejected = err.Error()
			c.describe(c.current).WithError(err).Warn("failed to reload certificates; the earlier ones stay in use")
		}
		return c.current
	}
	c.current, c.rejected = fresh, ""
	c.describe(fresh).Info("certificates reloaded")
	return fresh
}

// load creates the configurations for the contents of the files.
func (c *Certificates) load(from contents) (*loaded, error) {
	l := &loaded{from: from}
	var err error
	if c.files.CA != "" {
		if l.trusted, err = authorities(from.ca); err != nil {
			return nil, fmt.Errorf("%s: %w", c.files.CA, err)
		}
	}
	l.server = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	l.client = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: l.trusted}
	if c.files.Cert != "" {
		if l.own, err = keyPair(from); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", c.files.Cert, c.files.Key, err)
		}
		l.server.Certificates, l.client.Certificates = []tls.Certificate{*l.own}, []tls.Certificate{*l.own}
	}
	if l.trusted != nil {
		l.server.ClientAuth, l.server.ClientCAs = tls.RequireAndVerifyClientCert, l.trusted
		l.server.SessionTicketsDisabled = true // so that every connection is verified against the current authorities
	}
	l.selfCheck = l.selfCheckConfig()
	l.optional = l.server
	if l.trusted != nil {
		l.optional = l.server.Clone()
		l.optional.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return l, nil
}

func (l *loaded) expired(now time.Time) bool { return l.own != nil && now.After(l.own.Leaf.NotAfter) }

func (c *Certificates) describe(l *loaded) logrus.FieldLogger {
	fields := logrus.Fields{}
	if c.files.CA != "" {
		fields["ca"] = c.files.CA
	}
	if l.own != nil {
		fields["certificate"], fields["expires"] = c.files.Cert, l.own.Leaf.NotAfter.UTC().Format(time.RFC3339)
	}
	return c.log.WithFields(fields)
}

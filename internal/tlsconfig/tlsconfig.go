// Package tlsconfig makes TLS configurations of PEM files, and makes them anew when the files have changed.
//
// Files are looked at when a connection is made, at most once a second, so nothing runs in between; connections that
// are open stay as they are. What is compared is their bytes: that sees a renamed file, a swapped link and a file written in
// place alike. What cannot be used, such as a certificate whose key has not been replaced yet, is logged, and the
// earlier files are used until it can.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const lookEvery = time.Second

// Certificates are what Files hold.
type Certificates struct {
	files Files
	log   logrus.FieldLogger
	every time.Duration // between two looks at the files

	mu      sync.Mutex
	looked  time.Time
	use     *loaded
	refused string // why the files are not in use, as it was logged
}

// loaded is one state of the files.
type loaded struct {
	from    contents
	trusted *x509.CertPool   // nil without a CA
	own     *tls.Certificate // nil without a pair

	server, self, client *tls.Config
}

// Load reads the files. Log is told of those that replace them.
func Load(files Files, log logrus.FieldLogger) (*Certificates, error) {
	from, err := files.read()
	if err != nil {
		return nil, err
	}
	c := &Certificates{files: files, log: log, every: lookEvery, looked: time.Now()}
	if c.use, err = c.load(from); err != nil {
		return nil, err
	}
	if c.use.expired(c.looked) { // which is for those on the other side to judge: some do not mind
		c.describe(c.use).Warn("the certificate has expired")
	}
	return c, nil
}

// Server is for a listener: TLS 1.2 at least, and HTTP/2 or HTTP/1.1. With a CA, clients must show a certificate of its.
func (c *Certificates) Server() *tls.Config {
	cfg := c.latest().server.Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		latest := c.latest()
		if hello.ServerName == selfCheckName {
			return latest.self, nil
		}
		return latest.server, nil
	}
	return cfg
}

// Client is for the next connection to a server; later ones may need another.
func (c *Certificates) Client() *tls.Config { return c.latest().client.Clone() }

// latest is what the files hold, or held before they were spoilt.
func (c *Certificates) latest() *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.looked) < c.every {
		return c.use
	}
	c.looked = now
	from, err := c.files.read()
	if err == nil && from == c.use.from {
		c.refused = ""
		return c.use
	}
	var fresh *loaded
	if err == nil {
		fresh, err = c.load(from)
	}
	if err == nil && fresh.expired(now) && !c.use.expired(now) {
		err = fmt.Errorf("%s: expired at %s", c.files.Cert, fresh.own.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err != nil {
		if c.refused != err.Error() {
			c.refused = err.Error()
			c.describe(c.use).WithError(err).Warn("new certificates cannot be used, and the earlier ones stay")
		}
		return c.use
	}
	c.use, c.refused = fresh, ""
	c.describe(fresh).Info("certificates are replaced")
	return fresh
}

// load makes the configurations of what the files hold.
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
		l.server.SessionTicketsDisabled = true // each connection is judged by the authorities of today
	}
	l.self = l.selfCheck()
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

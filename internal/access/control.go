// Package access authorizes the requests of a service by roles. An access file lists who may use the service: bearer
// tokens, as hashes, and the subjects of client certificates. The file is reloaded when it changes.
package access

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
)

const defaultReloadInterval = time.Second

// control authorizes requests by an access file.
type control struct {
	path         string
	interval     time.Duration // between two reads of the file
	policy       Policy
	certificates bool // the listener verifies client certificates
	log          logrus.FieldLogger
	failures     prometheus.Counter

	rules atomic.Pointer[rules]
	text  string // of the file in use; only Run's goroutine changes it
}

// loadControl reads the access file.
func loadControl(cfg Config, failures prometheus.Counter) (*control, error) {
	c := &control{
		path: cfg.File, policy: cfg.Policy, certificates: cfg.TLS.CA != "", log: cfg.Log.WithField("file", cfg.File),
		interval: cmp.Or(cfg.reloadInterval, defaultReloadInterval),
		failures: failures,
	}
	text, loaded, err := c.read()
	if err != nil {
		return nil, err
	}
	c.text = text
	c.rules.Store(newRules(loaded))
	return c, nil
}

func (c *control) read() (text string, f File, err error) {
	read, err := os.ReadFile(c.path)
	if err != nil {
		return "", f, err
	}
	if f, err = ParseFile(read); err != nil {
		return "", f, fmt.Errorf("%s: %w", c.path, err)
	}
	if len(f.Certificates) > 0 && !c.certificates {
		return "", f, fmt.Errorf("%s: certificates need --client-ca", c.path)
	}
	return string(read), f, nil
}

// run reloads the file until ctx ends.
func (c *control) run(ctx context.Context) {
	failed := logging.NewFailureLog(c.log, "failed to reload the access file; the earlier one stays in use",
		"the access file is valid again")
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.reload(); err != nil {
			c.failures.Inc()
			failed.Failed(err)
		} else {
			failed.Succeeded()
		}
	}
}

func (c *control) close() { c.rules.Load().close() }

func (c *control) reload() error {
	text, f, err := c.read()
	if err != nil || text == c.text {
		return err
	}
	fresh := newRules(f)
	revoke := fresh.replace(c.rules.Load())
	c.text = text
	c.rules.Store(fresh)
	revoke()
	c.log.WithFields(logrus.Fields{"tokens": len(f.Tokens), "certificates": len(f.Certificates)}).
		Info("access file reloaded")
	return nil
}

// authorize is for httpserver.WithAuthorization.
func (c *control) authorize(w http.ResponseWriter, r *http.Request) (authorized *http.Request, ok bool) {
	needed := c.policy.Role(r)
	client, denied := c.identify(r)
	if denied == nil {
		r = httpserver.WithIdentity(r, client.Identity)
	}
	switch {
	case needed == Public:
	case denied != nil:
		w.Header().Set("WWW-Authenticate", denied.challenge)
		httpserver.Error(w, r, denied.problem)
		return r, false
	case client.role < needed:
		httpserver.Error(w, r, forbidden(r, client, needed))
		return r, false
	}
	return r, true
}

// client is an authenticated client. Its role is Public if the access file has none for it.
type client struct {
	httpserver.Identity
	role Role
}

// identify returns the client that sent a request. A token takes precedence over a certificate.
func (c *control) identify(r *http.Request) (found client, denied *denial) {
	current := c.rules.Load()
	if token, given := bearerToken(r); given {
		g := current.token(token)
		if g == nil {
			return found, &invalidToken
		}
		return client{httpserver.Identity{Name: g.name, Valid: g.valid}, g.role}, nil
	}
	name, verified := subject(r)
	if !verified {
		return found, &noCredentials
	}
	found.Name = name.String()
	if g := current.certificate(name); g != nil {
		found.role, found.Valid = g.role, g.valid
	}
	return found, nil
}

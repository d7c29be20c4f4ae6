// Package access authorizes the requests of a service by roles. An access file lists who may use the service: bearer
// tokens, as hashes, and the subjects of client certificates. The file is reloaded when it changes.
package access

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/reload"
)

// control authorizes requests by an access file.
type control struct {
	file   *reload.File[File]
	policy Policy
	log    logrus.FieldLogger
	rules  atomic.Pointer[rules]
}

// loadControl reads the access file.
func loadControl(cfg Config, failures prometheus.Counter) (*control, error) {
	parse := func(text []byte) (File, error) {
		f, err := ParseFile(text)
		if err == nil && len(f.Certificates) > 0 && cfg.TLS.CA == "" { // the listener verifies none
			return f, errors.New("certificates need --client-ca")
		}
		return f, err
	}
	file, loaded, err := reload.Open(reload.Config[File]{
		Path: cfg.File, Parse: parse, Interval: cfg.reloadInterval, Failures: failures,
		Log: logging.NewFailureLog(cfg.Log.WithField("file", cfg.File),
			"failed to reload the access file; the earlier one stays in use", "the access file is valid again"),
	})
	if err != nil {
		return nil, err
	}
	c := &control{file: file, policy: cfg.Policy, log: cfg.Log.WithField("file", cfg.File)}
	c.rules.Store(newRules(loaded))
	return c, nil
}

// run reloads the file until ctx ends.
func (c *control) run(ctx context.Context) {
	c.file.Run(ctx, func(f File) error { c.use(f); return nil })
}

func (c *control) close() { c.rules.Load().close() }

// use replaces the rules, and ends the requests that the new ones do not admit.
func (c *control) use(f File) {
	fresh := newRules(f)
	revoke := fresh.replace(c.rules.Load())
	c.rules.Store(fresh)
	revoke()
	c.log.WithFields(logrus.Fields{"tokens": len(f.Tokens), "certificates": len(f.Certificates)}).
		Info("access file reloaded")
}

// authorize is for httpserver.WithAuthorization.
func (c *control) authorize(w http.ResponseWriter, r *http.Request) (authorized *http.Request, ok bool) {
	needed := c.policy.Role(r)
	client, denied := c.identify(r)
	if denied == nil {
		r = httpserver.WithIdentity(r, client.Identity)
		w.Header().Set(HeaderRole, client.role.String())
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

package access

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/tlsconfig"
)

// Options are the settings of access to a service.
type Options struct {
	File         string // --access-file, …_ACCESS_FILE: path of the access file; empty: every client may do everything
	ReadOnlyBind string // --read-only-bind, …_READ_ONLY_BIND: address of a listener for reads without credentials
	// ClientCertOptional, --client-cert-optional, …_CLIENT_CERT_OPTIONAL: clients may send a token instead of a
	// certificate of --client-ca.
	ClientCertOptional bool
}

// Flags defines --access-file, --client-cert-optional and --read-only-bind. Their variables begin with prefix, as in
// CSS_ACCESS_FILE.
func (o *Options) Flags(flags *flag.FlagSet, prefix string, getenv func(string) string) {
	flags.StringVar(&o.File, "access-file", getenv(prefix+"_ACCESS_FILE"),
		"`file` with the roles of tokens and client certificates; without it, every client may do everything")
	optional, _ := strconv.ParseBool(getenv(prefix + "_CLIENT_CERT_OPTIONAL"))
	flags.BoolVar(&o.ClientCertOptional, "client-cert-optional", optional,
		"with --client-ca and --access-file: clients may send a token instead of a certificate")
	flags.StringVar(&o.ReadOnlyBind, "read-only-bind", getenv(prefix+"_READ_ONLY_BIND"),
		"second listen address, `host:port`, that serves GET, HEAD and streams without credentials")
}

// Validate returns every problem of the options of a listener with these TLS files.
func (o Options) Validate(files tlsconfig.Files) (problems []string) {
	if o.ReadOnlyBind != "" {
		if _, _, err := net.SplitHostPort(o.ReadOnlyBind); err != nil {
			problems = append(problems, fmt.Sprintf("--read-only-bind %q: must be host:port", o.ReadOnlyBind))
		}
	}
	if o.ClientCertOptional && files.CA == "" {
		problems = append(problems, "--client-cert-optional needs --client-ca")
	}
	if o.ClientCertOptional && o.File == "" {
		problems = append(problems, "--client-cert-optional needs --access-file: clients would need no credentials at all")
	}
	return problems
}

// Config holds Listen's inputs.
type Config struct {
	Options
	Bind     string
	Listener net.Listener // if set, it is served instead of Bind
	ReadOnly net.Listener // if set, it is served instead of ReadOnlyBind
	TLS      tlsconfig.Files
	Policy   Policy
	Log      logrus.FieldLogger
	// Metrics registers the metrics, whose names have no prefix.
	Metrics prometheus.Registerer

	reloadInterval time.Duration // between two reads of the access file; 0 for the default
}

// Server serves one handler at a service's address, to the clients that the access file admits, and read-only at a
// second address.
type Server struct {
	log      logrus.FieldLogger
	control  *control // nil without an access file
	listener net.Listener
	readOnly net.Listener // nil without a read-only address

	options, readOnlyOptions []httpserver.Option
}

// readOnlyConnections is the part of the process's connections that the read-only listener may use.
const readOnlyConnections = .25

// Listen loads the files and opens the listeners.
func Listen(cfg Config) (*Server, error) {
	s := &Server{log: cfg.Log, listener: cfg.Listener, readOnly: cfg.ReadOnly}
	withTLS, err := httpserver.WithTLSFiles(cfg.TLS, cfg.ClientCertOptional, cfg.Log)
	if err != nil {
		return nil, err
	}
	s.options = []httpserver.Option{withTLS}
	failures := promauto.With(cfg.Metrics).NewCounter(prometheus.CounterOpts{
		Name: "access_file_reload_failures_total",
		Help: "Failed attempts to reload --access-file: one a second while the file cannot be used.",
	})
	if cfg.File != "" {
		if s.control, err = loadControl(cfg, failures); err != nil {
			return nil, fmt.Errorf("--access-file: %w", err)
		}
		s.options = append(s.options, httpserver.WithAuthorization(s.control.authorize))
		if cfg.TLS.Cert == "" {
			cfg.Log.Warn("--access-file without --tls-cert: the network between clients and this service sees the tokens")
		}
	}
	if s.listener == nil {
		if s.listener, err = net.Listen("tcp", cfg.Bind); err != nil {
			return nil, fmt.Errorf("--bind: %w", err)
		}
	}
	if cfg.ReadOnlyBind == "" && s.readOnly == nil {
		return s, nil
	}
	if s.readOnly == nil {
		if s.readOnly, err = net.Listen("tcp", cfg.ReadOnlyBind); err != nil {
			return nil, errors.Join(fmt.Errorf("--read-only-bind: %w", err), s.listener.Close())
		}
	}
	// Its clients need no certificate.
	withTLS, err = httpserver.WithTLSFiles(tlsconfig.Files{Cert: cfg.TLS.Cert, Key: cfg.TLS.Key}, false, cfg.Log)
	if err != nil {
		return nil, errors.Join(err, s.listener.Close(), s.readOnly.Close())
	}
	s.options = append(s.options, httpserver.WithConnectionShare(1-readOnlyConnections))
	s.readOnlyOptions = []httpserver.Option{
		withTLS, httpserver.WithAuthorization(readOnly), httpserver.WithConnectionShare(readOnlyConnections),
	}
	return s, nil
}

// Addr returns the address of the service.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// LogFields returns what the service logs about its listeners when it starts.
func (s *Server) LogFields() logrus.Fields {
	fields := logrus.Fields{"address": s.listener.Addr().String()}
	if s.readOnly != nil {
		fields["readOnlyAddress"] = s.readOnly.Addr().String()
	}
	if s.control != nil {
		fields["accessFile"] = s.control.file.Path
	}
	return fields
}

// Serve serves handler until ctx ends, and reloads the access file. See httpserver.Serve.
func (s *Server) Serve(ctx context.Context, handler http.Handler, options ...httpserver.Option) error {
	group, ctx := errgroup.WithContext(ctx)
	if s.control != nil {
		defer s.control.close() // after the last request
		group.Go(func() error { s.control.run(ctx); return nil })
	}
	group.Go(func() error {
		return httpserver.Serve(ctx, s.listener, handler, s.log, append(s.options, options...)...)
	})
	if s.readOnly != nil {
		group.Go(func() error {
			return httpserver.Serve(ctx, s.readOnly, handler, s.log, append(s.readOnlyOptions, options...)...)
		})
	}
	return group.Wait()
}

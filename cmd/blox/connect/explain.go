package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// CallError is a request that has failed. Its text says what was wrong, and below it what may be done about that.
type CallError struct {
	service service
	err     error
}

func (c *CallError) Unwrap() error { return c.err }

// interrupted tells whether err is no more than that ctx has ended.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// Temporary tells whether the same request may succeed in a while: the service was not reached, or said so.
func Temporary(err error) bool {
	var refused *Refused
	if errors.As(err, &refused) {
		return refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusTooManyRequests ||
			refused.Status == http.StatusBadGateway || refused.Status == http.StatusGatewayTimeout
	}
	var unsigned *noCredentials
	if errors.As(err, &unsigned) {
		return false
	}
	var unreachable net.Error
	return (errors.As(err, &unreachable) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) && !isTLS(err)
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	return errors.As(err, &verification) || errors.As(err, &alert) || errors.As(err, &record) || strings.Contains(err.Error(), "remote error: tls:")
}

func (s service) failed(ctx context.Context, err error) error {
	var already *CallError
	if errors.As(err, &already) || interrupted(ctx, err) {
		return err
	}
	if mayHideAlert(err) {
		if alert := s.alert(ctx); alert != nil {
			err = alert
		}
	}
	return &CallError{s, err}
}

// Error is the one place in which what can go wrong with a request is put into words.
func (c *CallError) Error() string {
	what, hint := c.explain()
	if hint == "" {
		return what
	}
	return what + "\n" + hint
}

// Summary is what was wrong, in a line, without what may be done about that.
func (c *CallError) Summary() string {
	what, _ := c.explain()
	return what
}

func (c *CallError) explain() (what, hint string) {
	s := c.service
	where := s.name + " at " + s.endpoint
	say := fmt.Sprintf("%s URL, or %s, says where it is", s.flag, s.variable)

	var refused *Refused
	var unknownCA x509.UnknownAuthorityError
	var otherName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var noName *net.DNSError
	var unsigned *noCredentials
	switch err := c.err; {
	case errors.As(err, &refused):
		return s.explainRefusal(refused)
	case errors.As(err, &unsigned):
		return unsigned.Error(), "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with \"aws sso login\"."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens where " + where + " should be", fmt.Sprintf(
			"Is it running? %s. \"make local\" runs all of Blox on this machine.", say)
	case errors.As(err, &noName):
		return fmt.Sprintf("no such host: %s, for %s", noName.Name, where), say + "."
	case errors.As(err, &unknownCA):
		return "the certificate of " + where + " is of an authority that this machine does not know", "--ca FILE (BLOX_CA) says which authorities to trust."
	case errors.As(err, &otherName):
		return fmt.Sprintf("the certificate of %s is for another name: %v", where, otherName), "Use a name that it is for: " + s.flag + " https://NAME:PORT."
	case errors.As(err, &invalid):
		return fmt.Sprintf("the certificate of %s is not valid: %v", where, invalid), ""
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return where + " speaks http, not https", "Write http:// instead of https:// in " + s.flag + "."
	case isTLS(err) && strings.Contains(err.Error(), "certificate"):
		if s.cfg.TLS.Cert == "" {
			return where + " wants a certificate of its clients", "--cert FILE and --key FILE (BLOX_CERT, BLOX_KEY) say which to show."
		}
		return fmt.Sprintf("%s refuses the certificate in %s: %v", where, s.cfg.TLS.Cert, rootOf(err)), "--cert and --key say which to show."
	case strings.Contains(err.Error(), "malformed HTTP response"):
		return where + " does not speak http", "Perhaps https: write https:// in " + s.flag + "."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return fmt.Sprintf("no answer from %s within %s", where, s.cfg.Timeout), "--timeout gives it longer, as in --timeout 2m; " + say + "."
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection to " + where + " broke off", "Is it being restarted? Try again."
	}
	return where + ": " + rootOf(c.err).Error(), say + "."
}

func isTimeout(err error) bool {
	var timed net.Error
	return errors.As(err, &timed) && timed.Timeout()
}

// rootOf is err without the URL that net/http puts around it.
func rootOf(err error) error {
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err
	}
	return err
}

// explainRefusal is about an answer, whose own words come first.
func (s service) explainRefusal(r *Refused) (what, hint string) {
	text := messageOf(r.Text)
	if text == "" {
		text = fmt.Sprintf("%s answers %d %s", s.name, r.Status, http.StatusText(r.Status))
	}
	lower := strings.ToLower(text)
	switch r.Status {
	case http.StatusBadRequest:
		switch {
		case strings.Contains(lower, "http request to an https server"):
			return s.name + " at " + s.endpoint + " speaks https, not http", "Write https:// instead of http:// in " + s.flag + "."
		case strings.HasPrefix(lower, "deployment with token"):
			return text, "This revision has been deployed already. \"blox environments update\" makes a new one; --force-new-deployment deploys it once more."
		case strings.HasSuffix(lower, "is outdated"):
			return text, outdated
		case strings.Contains(lower, "already exists"):
			return text, "\"blox environments update\" changes what there is."
		case strings.Contains(lower, "in progress"):
			return text, "\"blox deployments watch\" follows it, \"blox deployments stop\" ends it."
		case strings.Contains(lower, "version is out of range"):
			return text, "etcd no longer has what happened then, or has been restored: list, and start the stream without --from."
		}
		return text, ""
	case http.StatusUnauthorized, http.StatusForbidden:
		what = fmt.Sprintf("%s at %s refuses: %s", s.name, s.endpoint, text)
		if !s.cfg.SigV4 {
			return what, "If this is Blox on AWS, requests have to be signed: --sigv4."
		}
		return what, "Are these the credentials of somebody who has the policy ApiPolicyArn, and is the region the API's (--region)?"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		switch {
		case strings.Contains(lower, "page not found"), r.Status == http.StatusMethodNotAllowed:
			return fmt.Sprintf("%s is not served at %s: %d %s", s.name, s.endpoint, r.Status, text), "Is that its address? " + s.flag + " URL, or " + s.variable + ", says where it is."
		case strings.HasPrefix(lower, "environment "):
			return text, "\"blox environments list\" shows which there are."
		case strings.HasPrefix(lower, "deployment "):
			return text, "\"blox deployments list ENVIRONMENT\" shows which there are."
		case strings.HasPrefix(lower, "cluster "), strings.HasPrefix(lower, "taskdefinition "):
			return text, "ECS was asked for it, in the region and account of daemon-scheduler."
		}
		return text, ""
	case http.StatusConflict:
		if strings.HasSuffix(lower, "is outdated") {
			return text, outdated
		}
		return text, ""
	case http.StatusServiceUnavailable:
		switch {
		case strings.Contains(lower, "compared"):
			return s.name + ": " + text, "It has just started, and reads all clusters first. Try again in a moment; \"blox status\" tells when it is done."
		case strings.Contains(lower, "etcd"):
			return s.name + ": " + text, "\"blox status\" tells more. The service goes on by itself when etcd does."
		}
		return s.name + ": " + text, "Try again in a moment; \"blox status\" tells more."
	case http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return fmt.Sprintf("%s at %s: %s", s.name, s.endpoint, text), "Try again in a moment."
	}
	if r.Status >= http.StatusInternalServerError {
		return fmt.Sprintf("%s: %s", s.name, text), "Its log says more."
	}
	return fmt.Sprintf("%s answers %d: %s", s.name, r.Status, text), ""
}

// outdated is about a deployment token that is no longer, or was never, the environment's.
const outdated = "Somebody has changed the environment meanwhile. See what it is now, and run the command again, without --token or with the new one."

// messageOf is the text of a refusal; API Gateway puts its own into JSON.
func messageOf(text string) string {
	var told struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(text), &told); err == nil && told.Message != "" {
		return told.Message
	}
	return text
}

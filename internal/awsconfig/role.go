package awsconfig

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/blox/blox/internal/backoff"
)

const (
	// roleExpiryWindow is how long before they expire credentials are renewed.
	roleExpiryWindow = time.Minute
	// After a failed AssumeRole, calls of the role fail without another one for this time.
	firstRoleRetry, longestRoleRetry = time.Second, time.Minute
)

// Role is an IAM role that a service assumes with its own credentials.
type Role struct {
	ARN         string
	ExternalID  string // that the role's trust policy requires; empty for none
	SessionName string // shows in CloudTrail who assumed the role
}

// Credentials returns the role's credentials, which client assumes when they are needed. Errors are *RoleError. After
// a failure it backs off: every call of the role needs credentials.
func (r Role) Credentials(client *sts.Client) aws.CredentialsProvider {
	assume := stscreds.NewAssumeRoleProvider(client, r.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = r.SessionName
		if r.ExternalID != "" {
			o.ExternalID = &r.ExternalID
		}
	})
	return aws.NewCredentialsCache(&roleProvider{role: r.ARN, next: assume},
		func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = roleExpiryWindow })
}

// WithRole returns cfg with clients that assume the role. They assume it again when AWS rejects the credentials, such
// as those of sessions that IAM has revoked.
func WithRole(cfg aws.Config, role Role) aws.Config {
	cfg = cfg.Copy()
	var watch func(*middleware.Stack) error
	cfg.Credentials, watch = role.RenewedCredentials(STS(cfg))
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), watch)
	return cfg
}

// RenewedCredentials returns the role's credentials, and an option for the clients that use them: it renews credentials
// that AWS rejects.
func (r Role) RenewedCredentials(client *sts.Client) (aws.CredentialsProvider, func(*middleware.Stack) error) {
	credentials := newReloading(r.Credentials(client), nil,
		func(context.Context) (aws.CredentialsProvider, error) { return r.Credentials(client), nil })
	return credentials, credentials.watch
}

// RoleError means that a role could not be assumed, so that the call was not sent.
type RoleError struct {
	Role string // ARN
	Err  error
}

func (e *RoleError) Error() string { return fmt.Sprintf("assume role %s: %v", e.Role, e.Err) }
func (e *RoleError) Unwrap() error { return e.Err }

// roleProvider assumes a role, and backs off after failures.
type roleProvider struct {
	role string
	next aws.CredentialsProvider

	mu       sync.Mutex
	failures int
	failure  error
	retryAt  time.Time
}

// Retrieve implements aws.CredentialsProvider.
func (p *roleProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := p.backsOff(time.Now()); err != nil {
		return aws.Credentials{}, err
	}
	credentials, err := p.next.Retrieve(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.failures = 0
		return credentials, nil
	}
	p.failures++
	p.failure = &RoleError{p.role, err}
	p.retryAt = time.Now().Add(backoff.Jitter(backoff.Delay(firstRoleRetry, longestRoleRetry, p.failures)))
	return aws.Credentials{}, p.failure
}

// backsOff returns the last failure until the next attempt is due.
func (p *roleProvider) backsOff(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 0 && now.Before(p.retryAt) {
		return p.failure
	}
	return nil
}

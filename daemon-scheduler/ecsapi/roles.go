package ecsapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	roleSessionName = "blox-daemon-scheduler"
	// maxRoleClients is the number of roles whose credentials are kept; the least recently used ones go first.
	maxRoleClients = 500
)

var errRoleNotAllowed = errors.New("--allowed-role does not allow the role")

// RoleConfig is what clients of roles need.
type RoleConfig struct {
	STS     *sts.Client
	Allowed []string // patterns of the ARNs of roles, with * and ?; none: all that IAM allows
	// NewLimits returns the limits of another account.
	NewLimits func() (ratelimit.ECS, ratelimit.CloudWatch)

	ECS        *ecs.Client // without limits
	CloudWatch *cloudwatch.Client
}

// roleClients holds the clients of the roles in use. It is safe for concurrent use.
type roleClients struct {
	RoleConfig

	mu         sync.Mutex
	ownAccount string // of the scheduler's own credentials; empty until known
	clients    map[environment.Role]*roleClient
	limits     map[string]accountLimits // by account
}

type roleClient struct {
	*Client
	usedAt time.Time
}

type accountLimits struct {
	ecs    ratelimit.ECS
	alarms ratelimit.CloudWatch
}

// WithRoles makes For return clients that assume roles.
func (c *Client) WithRoles(cfg RoleConfig) *Client {
	c.roles = &roleClients{
		RoleConfig: cfg, clients: map[environment.Role]*roleClient{}, limits: map[string]accountLimits{},
	}
	return c
}

// For returns the client whose calls assume the role; c itself for none. Clients share what task definitions are known.
func (c *Client) For(role environment.Role) *Client {
	if !role.IsSet() || c.roles == nil {
		return c
	}
	return c.roles.client(c, role, time.Now())
}

// LearnAccount records a cluster of the scheduler's own account, whose limits roles of that account share.
func (c *Client) LearnAccount(clusterARN string) {
	fields := strings.Split(clusterARN, ":")
	if c.roles == nil || len(fields) < 5 {
		return
	}
	c.roles.mu.Lock()
	defer c.roles.mu.Unlock()
	c.roles.ownAccount = fields[4]
}

func (r *roleClients) client(own *Client, role environment.Role, now time.Time) *Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.clients[role]; ok {
		known.usedAt = now
		return known.Client
	}
	if len(r.clients) >= maxRoleClients {
		r.forgetOldest()
	}
	limits := r.limitsOf(own, role.Account())
	options := r.ECS.Options()
	options.Credentials = r.credentials(role)
	alarmOptions := r.CloudWatch.Options()
	alarmOptions.Credentials = options.Credentials
	client := &Client{
		Limits: limits.ecs, Alarms: NewAlarms(cloudwatch.New(alarmOptions), limits.alarms),
		ecs: ecs.New(options, limits.ecs.Option), healthChecks: own.healthChecks,
	}
	r.clients[role] = &roleClient{client, now}
	return client
}

// limitsOf returns the limits of an account. Its caller holds the lock.
func (r *roleClients) limitsOf(own *Client, account string) accountLimits {
	if account == r.ownAccount {
		return accountLimits{own.Limits, own.Alarms.limits}
	}
	limits, known := r.limits[account]
	if !known {
		limits.ecs, limits.alarms = r.NewLimits()
		r.limits[account] = limits
	}
	return limits
}

// forgetOldest removes the client that was used longest ago, and the limits of its account unless others use them. Its
// caller holds the lock.
func (r *roleClients) forgetOldest() {
	var oldest environment.Role
	for role, client := range r.clients {
		if !oldest.IsSet() || client.usedAt.Before(r.clients[oldest].usedAt) {
			oldest = role
		}
	}
	delete(r.clients, oldest)
	for role := range r.clients {
		if role.Account() == oldest.Account() {
			return
		}
	}
	delete(r.limits, oldest.Account())
}

func (r *roleClients) credentials(role environment.Role) aws.CredentialsProvider {
	allowed := len(r.Allowed) == 0 ||
		slices.ContainsFunc(r.Allowed, func(pattern string) bool { return matchesPattern(pattern, role.ARN) })
	if !allowed {
		return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, &awsconfig.RoleError{Role: role.ARN, Err: errRoleNotAllowed}
		})
	}
	assumed := awsconfig.Role{ARN: role.ARN, ExternalID: role.ExternalID, SessionName: roleSessionName}
	return assumed.Credentials(r.STS)
}

// matchesPattern reports whether text matches a pattern in which * stands for any characters and ? for one, as in IAM.
func matchesPattern(pattern, text string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			for n := 0; n <= len(text); n++ {
				if matchesPattern(pattern[1:], text[n:]) {
					return true
				}
			}
			return false
		case text == "" || pattern[0] != '?' && pattern[0] != text[0]:
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}

// refusesRole reports whether a role could not be assumed because of the role or its policies. STS may also throttle or
// fail, and then a retry may succeed.
func refusesRole(outcome Outcome) bool {
	var response *smithyhttp.ResponseError
	answered := errors.As(outcome.Err, &response) && response.HTTPStatusCode() < http.StatusInternalServerError
	throttled := throttles.IsErrorThrottle(outcome.Err) == aws.TrueTernary
	return outcome.Role != "" && (errors.Is(outcome.Err, errRoleNotAllowed) || answered && !throttled)
}

// aboutRole returns the outcome of a call whose role could not be assumed; false if that is not why err happened.
func aboutRole(err error) (Outcome, bool) {
	var role *awsconfig.RoleError
	if !errors.As(err, &role) {
		return Outcome{}, false
	}
	outcome := failed(NotSent, ScopeCaller, err)
	outcome.Role = role.Role
	if errors.Is(err, errRoleNotAllowed) {
		outcome.Code = "RoleNotAllowed"
	}
	outcome.Message = role.Role + ": " + cmp.Or(outcome.Message, role.Err.Error())
	return outcome, true
}

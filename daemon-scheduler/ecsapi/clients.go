package ecsapi

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecsclock"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	// maxClients is the number of clients that are kept; the least recently used ones are dropped first.
	maxClients = 500
	// clientRetention is how long a client is kept without use.
	clientRetention = time.Hour
)

// Config is what Clients needs.
type Config struct {
	ECS        *ecs.Client // of the scheduler's own account and region, without limits
	CloudWatch *cloudwatch.Client
	STS        *sts.Client
	// AllowedRoles are patterns of the ARNs of roles, with * and ?; none: all that IAM allows.
	AllowedRoles []string
	// NewLimits returns the limits of one account in one region.
	NewLimits func() ratelimit.Limits
}

// Clients holds the clients of the accounts and regions in use, with one set of limits for each account and region. It
// is safe for concurrent use.
type Clients struct {
	Config
	healthChecks *sync.Map // of all task definitions by ARN, which never change: names of containers, as []string

	mu         sync.Mutex
	ownAccount string // of the scheduler's own credentials; empty until known
	clients    map[Caller]*pooledClient
	roles      map[environment.Role]assumedRole     // for all regions
	limits     map[ratelimit.Place]ratelimit.Limits // the account is empty for the scheduler's own
}

type pooledClient struct {
	*Client
	usedAt time.Time
}

// NewClients returns Clients that has the limits of the scheduler's own account and region.
func NewClients(cfg Config) *Clients {
	c := &Clients{
		Config: cfg, healthChecks: &sync.Map{}, clients: map[Caller]*pooledClient{},
		roles: map[environment.Role]assumedRole{}, limits: map[ratelimit.Place]ratelimit.Limits{},
	}
	c.limitsOf(ratelimit.Place{Region: c.ownRegion()})
	return c
}

func (c *Clients) ownRegion() string { return c.ECS.Options().Region }

// For returns the client for calls that concern a cluster, given by its ARN or its name. They assume the role, unless
// that is zero.
func (c *Clients) For(role environment.Role, cluster string) *Client {
	return c.Of(NewCaller(role, cluster))
}

// Of returns the client of a caller. Callers keep it for one operation at most.
func (c *Clients) Of(caller Caller) *Client { return c.client(caller, time.Now()) }

// LearnAccount records a cluster that the scheduler's own credentials reach, so that roles of its account share the
// limits of these credentials.
func (c *Clients) LearnAccount(clusterARN string) {
	fields := strings.Split(clusterARN, ":")
	if len(fields) < 5 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ownAccount = fields[4]
}

func (c *Clients) client(caller Caller, now time.Time) *Client {
	caller.Region = cmp.Or(caller.Region, c.ownRegion())
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.clients[caller]; ok {
		known.usedAt = now
		return known.Client
	}
	c.dropUnused(now)
	limits := c.limitsOf(c.placeOf(caller))
	options, alarmOptions := c.ECS.Options(), c.CloudWatch.Options()
	options.Region, alarmOptions.Region = caller.Region, caller.Region
	if caller.Role.IsSet() {
		role := c.assumed(caller.Role)
		options.Credentials, alarmOptions.Credentials = role.credentials, role.credentials
		options.APIOptions = append(slices.Clone(options.APIOptions), role.renewal)
		alarmOptions.APIOptions = append(slices.Clone(alarmOptions.APIOptions), role.renewal)
	}
	clock := &ecsclock.Clock{}
	client := &Client{
		Limits: limits.ECS, Alarms: NewAlarms(cloudwatch.New(alarmOptions), limits.Alarms),
		ecs: ecs.New(options, limits.ECS.Option, clock.Option), clock: clock, caller: caller, all: c,
	}
	c.clients[caller] = &pooledClient{client, now}
	return client
}

// assumed returns a role, whose credentials its clients in all regions share. Its caller holds the lock.
func (c *Clients) assumed(role environment.Role) assumedRole {
	known, ok := c.roles[role]
	if !ok {
		known = c.assume(role)
		c.roles[role] = known
	}
	return known
}

// placeOf returns where the calls of a caller count. Its caller holds the lock.
func (c *Clients) placeOf(caller Caller) ratelimit.Place {
	account := caller.Role.Account()
	if account == c.ownAccount {
		account = ""
	}
	return ratelimit.Place{Account: account, Region: caller.Region}
}

// limitsOf returns the limits of a place. Its caller holds the lock.
func (c *Clients) limitsOf(p ratelimit.Place) ratelimit.Limits {
	limits, known := c.limits[p]
	if !known {
		limits = c.NewLimits()
		c.limits[p] = limits
	}
	return limits
}

// dropUnused makes room for a client. It drops the clients that were not used for long, and the credentials and limits
// that none of the others uses. Its caller holds the lock.
func (c *Clients) dropUnused(now time.Time) {
	var oldest Caller
	var oldestAt time.Time
	for caller, client := range c.clients {
		if now.Sub(client.usedAt) > clientRetention {
			delete(c.clients, caller)
		} else if oldestAt.IsZero() || client.usedAt.Before(oldestAt) {
			oldest, oldestAt = caller, client.usedAt
		}
	}
	if len(c.clients) >= maxClients {
		delete(c.clients, oldest)
	}
	roles, places := map[environment.Role]bool{}, map[ratelimit.Place]bool{{Region: c.ownRegion()}: true}
	for caller := range c.clients {
		roles[caller.Role] = true
		places[c.placeOf(caller)] = true
	}
	maps.DeleteFunc(c.roles, func(r environment.Role, _ assumedRole) bool { return !roles[r] })
	maps.DeleteFunc(c.limits, func(p ratelimit.Place, _ ratelimit.Limits) bool { return !places[p] })
}

// Describe implements prometheus.Collector.
func (c *Clients) Describe(descriptions chan<- *prometheus.Desc) {
	ratelimit.Collector(c.placeLimits).Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (c *Clients) Collect(metrics chan<- prometheus.Metric) {
	ratelimit.Collector(c.placeLimits).Collect(metrics)
}

// placeLimits returns the limits with the names of their accounts, as far as they are known.
func (c *Clients) placeLimits() map[ratelimit.Place]ratelimit.Limits {
	c.mu.Lock()
	defer c.mu.Unlock()
	named := map[ratelimit.Place]ratelimit.Limits{}
	for p, limits := range c.limits {
		named[ratelimit.Place{Account: cmp.Or(p.Account, c.ownAccount), Region: p.Region}] = limits
	}
	return named
}

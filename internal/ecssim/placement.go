package ecssim

import (
	"cmp"
	"slices"

	"github.com/blox/blox/daemon-scheduler/query"
)

// placement is where a RunTask may start its tasks.
type placement struct {
	fargate   bool
	external  bool
	providers []weighted // of a capacity provider strategy; empty for a launch type
	distinct  bool
	eligible  []query.Query      // of the constraints of type memberOf
	used      map[*instance]bool // by the tasks of this call
	binpack   bool
}

type weighted struct {
	provider     *capacityProvider
	base, weight int
	tasks        int
}

// placement validates where a RunTask may start tasks. Without launch type and strategy, the cluster's default strategy
// applies, then the launch type EC2.
func (s *Sim) placement(c *cluster, in runTaskInput, l launch) (*placement, error) {
	p := &placement{used: map[*instance]bool{}, fargate: in.LaunchType == launchFargate,
		external: in.LaunchType == launchExternal}
	strategy := in.ProviderStrategy
	switch {
	case in.LaunchType != "" && len(strategy) > 0:
		return nil, invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and " +
			"try again.")
	case in.LaunchType == launchManaged:
		return nil, invalid("Use a capacity provider strategy, and no launch type, for Amazon ECS Managed Instances.")
	case !slices.Contains([]string{"", launchEC2, launchFargate, launchExternal}, in.LaunchType):
		return nil, invalid("Invalid launch type %.50q.", in.LaunchType)
	case in.LaunchType == "" && len(strategy) == 0:
		strategy = c.defaultStrategy
	}
	if err := p.follow(c, strategy); err != nil {
		return nil, err
	}
	if p.fargate && l.definition.input.NetworkMode != "awsvpc" {
		return nil, clientError("Networking mode %s is not supported on Fargate.", l.definition.input.NetworkMode)
	}
	if in.PlatformVersion != "" && !p.fargate {
		return nil, invalid("The platform version must be null when specifying an EC2 launch type.")
	}
	if p.fargate && len(in.PlacementConstraints)+len(in.PlacementStrategy) > 0 {
		return nil, invalid("Placement constraints and strategies are not supported with FARGATE.")
	}
	return p, p.constrain(in, l.definition)
}

// constrain applies the constraints of the request and of the task definition, and the strategy.
func (p *placement) constrain(in runTaskInput, d *definition) (err error) {
	all := slices.Concat(in.PlacementConstraints, d.input.PlacementConstraints)
	p.distinct = slices.ContainsFunc(all, func(c placementConstraint) bool { return c.Type == "distinctInstance" })
	if p.eligible, err = parseConstraints(all); err != nil {
		return err
	}
	if len(in.PlacementStrategy) > maxPlacementStrategies {
		return invalid("Placement strategies cannot have more than %d elements.", maxPlacementStrategies)
	}
	for _, rule := range in.PlacementStrategy {
		if !slices.Contains([]string{"random", "spread", "binpack"}, rule.Type) {
			return invalid("Invalid placement strategy type %.50q.", rule.Type)
		}
		if rule.Type == "binpack" && !slices.Contains([]string{"cpu", "CPU", "memory", "MEMORY"}, rule.Field) {
			return invalid("Invalid field %.50q of the placement strategy binpack.", rule.Field)
		}
	}
	// Of the strategies, binpack matters. The simulator spreads tasks over instances anyway, and any choice is random.
	p.binpack = len(in.PlacementStrategy) > 0 && in.PlacementStrategy[0].Type == "binpack"
	return nil
}

// Limits of placement. Source: RunTask in the Amazon ECS API Reference.
const (
	maxPlacementConstraints = 10
	maxPlacementStrategies  = 5
)

// parseConstraints validates placement constraints and returns the expressions of those of type memberOf.
func parseConstraints(all []placementConstraint) (eligible []query.Query, err error) {
	if len(all) > maxPlacementConstraints {
		return nil, invalid("Placement constraints cannot have more than %d elements.", maxPlacementConstraints)
	}
	for _, c := range all {
		switch c.Type {
		case "distinctInstance":
		case "memberOf":
			q, err := query.Parse(c.Expression)
			if err != nil || c.Expression == "" {
				return nil, invalid("Invalid constraint expression %.300q.", c.Expression)
			}
			eligible = append(eligible, q)
		default:
			return nil, invalid("Invalid placement constraint type %.100q.", c.Type)
		}
	}
	return eligible, nil
}

// follow applies a capacity provider strategy.
func (p *placement) follow(c *cluster, strategy []strategyItem) error {
	if err := c.checkStrategy(strategy); err != nil {
		return err
	}
	for _, item := range strategy {
		provider := c.provider(item.Provider)
		p.fargate = p.fargate || provider.fargate()
		p.providers = append(p.providers, weighted{provider, item.Base, deref(item.Weight), 0})
	}
	if len(p.providers) > 0 && !slices.ContainsFunc(p.providers, func(w weighted) bool { return w.weight+w.base > 0 }) {
		p.providers[0].weight = 1 // weights default to 0, and a strategy of one provider needs none
	}
	return nil
}

// provider returns the capacity provider of the next task: one with an unmet base, else by weight; nil without a
// strategy.
func (p *placement) provider() *capacityProvider {
	if len(p.providers) == 0 {
		return nil
	}
	next := &p.providers[0]
	for n := range p.providers {
		w := &p.providers[n]
		switch {
		case w.tasks < w.base:
			w.tasks++
			return w.provider
		case w.weight > 0 && (next.weight == 0 || (w.tasks-w.base)*next.weight < (next.tasks-next.base)*w.weight):
			next = w
		}
	}
	next.tasks++
	return next.provider
}

// allows reports whether the launch type or capacity provider of the next task covers an instance.
func (p *placement) allows(i *instance, provider *capacityProvider) bool {
	if provider != nil {
		return i.provider == provider
	}
	return i.external == p.external && !i.managed()
}

// chooseInstance returns the eligible instance with the fewest tasks (or, to pack them, the least memory), or nil and
// why: the failure of the last instance that meets the constraints, if there is one.
func (s *Sim) chooseInstance(l launch, p *placement) (*instance, failure) {
	var best *instance
	why := failure{
		ARN: l.cluster.arn, Reason: "RESOURCE:CPU", Detail: "No Container Instances were found in your cluster.",
	}
	if l.provider != nil {
		why = failure{ARN: l.provider.arn, Reason: "EMPTY CAPACITY PROVIDER"}
	}
	met := false // by an instance: the constraints
	for _, i := range l.cluster.instances {
		reason := p.unsatisfied(i)
		switch {
		case i.status != statusActive || !p.allows(i, l.provider) || reason != "" && met:
			continue
		case reason != "":
			why = failure{Reason: reason}
			continue
		case !i.connected:
			reason = "AGENT"
		default:
			reason = s.startFailureReason(i, l)
		}
		met = true
		if reason != "" {
			why = failure{ARN: i.arn, Reason: reason}
		} else if best == nil || p.better(i, best) {
			best = i
		}
	}
	return best, why
}

// unsatisfied returns which constraint the instance does not meet, or "".
func (p *placement) unsatisfied(i *instance) string {
	switch {
	case p.distinct && p.used[i]:
		return "DistinctInstance placement constraint unsatisfied."
	case !i.meets(p.eligible):
		return "MemberOf placement constraint unsatisfied."
	}
	return ""
}

func (p *placement) better(a, b *instance) bool {
	if p.binpack {
		return a.remaining.memory < b.remaining.memory
	}
	return len(a.tasks) < len(b.tasks)
}

// meets reports whether the instance matches all expressions.
func (i *instance) meets(eligible []query.Query) bool {
	if len(eligible) == 0 {
		return true
	}
	properties := query.Instance{
		EC2InstanceID: i.ec2ID, AgentConnected: i.connected, AgentVersion: i.versions.AgentVersion,
		RegisteredAt: i.registeredAt, CapacityProvider: i.providerName(), Attributes: i,
	}
	return !slices.ContainsFunc(eligible, func(q query.Query) bool { return !q.Matches(properties) })
}

// Attribute implements query.Attributes.
func (i *instance) Attribute(name string) (value string, exists bool) {
	at := slices.IndexFunc(i.attributes, func(a attribute) bool { return a.Name == name })
	if at < 0 {
		return "", false
	}
	return deref(i.attributes[at].Value), true
}

// strategyItem is an entry of a capacity provider strategy.
type strategyItem struct {
	Provider string `json:"capacityProvider"`
	Base     int    `json:"base"`
	Weight   *int   `json:"weight,omitempty"`
}

// Limits of a capacity provider strategy. Source: CapacityProviderStrategyItem in the Amazon ECS API Reference.
const (
	maxStrategy = 20
	maxWeight   = 1000
	maxBase     = 100_000
)

// checkStrategy validates a strategy: its providers belong to the cluster and are of one kind, and only one has a base.
func (c *cluster) checkStrategy(strategy []strategyItem) error {
	bases, kinds := 0, map[string]bool{}
	for _, item := range strategy {
		p := c.provider(item.Provider)
		weight := deref(item.Weight)
		switch {
		case p == nil:
			return invalid("The specified capacity provider %.300q was not found in the cluster.", item.Provider)
		case weight < 0 || weight > maxWeight || item.Base < 0 || item.Base > maxBase:
			return invalid("Weights are from 0 to %d, and bases from 0 to %d.", maxWeight, maxBase)
		case item.Base > 0:
			bases++
		}
		kinds[cmp.Or(p.family(), p.kind)] = true
	}
	switch {
	case len(strategy) > maxStrategy:
		return invalid("A capacity provider strategy cannot have more than %d elements.", maxStrategy)
	case bases > 1:
		return invalid("Only one capacity provider of a strategy can have a base.")
	case len(kinds) > 1:
		return invalid("A capacity provider strategy cannot contain a mix of kinds of capacity providers.")
	}
	return nil
}

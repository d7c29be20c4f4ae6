package ecssim

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"time"
)

type runTaskInput struct {
	taskInput
	Count                *int                  `json:"count"`
	LaunchType           string                `json:"launchType"`
	ClientToken          string                `json:"clientToken"`
	PlacementConstraints []placementConstraint `json:"placementConstraints"`
	PlacementStrategy    []placementStrategy   `json:"placementStrategy"`
	ProviderStrategy     []strategyItem        `json:"capacityProviderStrategy"`
	PlatformVersion      string                `json:"platformVersion"`
}

type placementStrategy struct {
	Type  string `json:"type"`
	Field string `json:"field,omitempty"`
}

// runTask starts each task on the instance with the fewest tasks among those that its constraints allow. A repeated
// call with a client token returns the tasks of the first one.
func (s *Sim) runTask(c *cluster, in runTaskInput) (any, error) {
	count := 1
	if in.Count != nil {
		count = *in.Count
	}
	if count < 1 || count > maxInstancesPerCall {
		return nil, invalid("Task count must be between 1 and %d.", maxInstancesPerCall)
	}
	if tasks, found, err := c.repeated(in); err != nil || found {
		return runTaskOutput(tasks, nil), err
	}
	l, err := s.launch(c, in.taskInput)
	if err != nil {
		return nil, err
	}
	p, err := s.placement(c, in, l)
	if err != nil {
		return nil, err
	}
	var tasks []*task
	var failures []failure
	for range count {
		if l.provider = p.provider(); !p.fargate {
			var reason failure
			if l.instance, reason = s.chooseInstance(l, p); l.instance == nil {
				failures = append(failures, reason)
				continue
			}
			p.used[l.instance] = true
		}
		tasks = append(tasks, s.start(l))
	}
	c.remember(in, tasks)
	return runTaskOutput(tasks, failures), nil
}

func runTaskOutput(tasks []*task, failures []failure) any {
	started := []taskResponse{}
	for _, t := range tasks {
		started = append(started, newTaskResponse(t, true))
	}
	return map[string]any{"tasks": started, "failures": copyOf(failures)}
}

// clientTokenLife is how long ECS remembers a client token: for so long, but not for longer than clientTokenRest after
// the last of its tasks has stopped. Source: "Ensuring idempotency" in the Amazon ECS API Reference.
const (
	clientTokenLife = 24 * time.Hour
	clientTokenRest = time.Hour
)

var clientTokenForm = regexp.MustCompile(`^[!-~]{0,64}$`)

// tokenUse is a RunTask that started tasks with a client token.
type tokenUse struct {
	request runTaskInput
	tasks   []*task
	at      time.Time
}

func (u tokenUse) expired() bool {
	if time.Since(u.at) > clientTokenLife {
		return true
	}
	return !slices.ContainsFunc(u.tasks, func(t *task) bool {
		return t.live() || time.Since(t.stoppedAt) <= clientTokenRest
	})
}

// repeated returns the tasks of an earlier RunTask with the same client token in the cluster. A different request with
// the token is an error.
func (c *cluster) repeated(in runTaskInput) (tasks []*task, found bool, err error) {
	if !clientTokenForm.MatchString(in.ClientToken) {
		return nil, false, invalid("clientToken has at most 64 characters, from ! to ~ in ASCII.")
	}
	use, found := c.tokens[in.ClientToken]
	switch {
	case !found:
		return nil, false, nil
	case use.expired():
		delete(c.tokens, in.ClientToken)
		return nil, false, nil
	case reflect.DeepEqual(use.request, in):
		return use.tasks, true, nil
	}
	conflict := &apiError{code: "ConflictException", message: "The clientToken is in use with a different request."}
	for _, t := range use.tasks {
		conflict.resourceIDs = append(conflict.resourceIDs, t.arn)
	}
	return nil, false, conflict
}

// remember keeps the client token of a RunTask that started tasks.
func (c *cluster) remember(in runTaskInput, tasks []*task) {
	if in.ClientToken == "" || len(tasks) == 0 {
		return
	}
	if c.tokens == nil {
		c.tokens = map[string]tokenUse{}
	}
	if len(c.tokens) >= c.nextTokenSweep { // amortized over as many calls as there are tokens
		for token, use := range c.tokens {
			if use.expired() {
				delete(c.tokens, token)
			}
		}
		c.nextTokenSweep = 2*len(c.tokens) + 100
	}
	c.tokens[in.ClientToken] = tokenUse{request: in, tasks: tasks, at: time.Now()}
}

// networkInput is the network configuration of a task.
type networkInput struct {
	VPC *struct {
		Subnets        []string `json:"subnets"`
		SecurityGroups []string `json:"securityGroups"`
		AssignPublicIP string   `json:"assignPublicIp"`
	} `json:"awsvpcConfiguration"`
}

// Limits of an awsvpcConfiguration. Source: AwsVpcConfiguration in the Amazon ECS API Reference.
const (
	maxSubnets        = 16
	maxSecurityGroups = 5
)

// parseNetwork returns the first subnet of a network configuration; "" for none.
func parseNetwork(raw json.RawMessage) (subnet string, err error) {
	var in networkInput
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if json.Unmarshal(raw, &in) != nil {
		return "", errSerialization
	}
	switch {
	case in.VPC == nil || len(in.VPC.Subnets) == 0:
		return "", invalid("subnets can not be empty.")
	case len(in.VPC.Subnets) > maxSubnets:
		return "", invalid("subnets can have at most %d items.", maxSubnets)
	case len(in.VPC.SecurityGroups) > maxSecurityGroups:
		return "", invalid("securityGroups can have at most %d items.", maxSecurityGroups)
	case !slices.Contains([]string{"", "ENABLED", "DISABLED"}, in.VPC.AssignPublicIP):
		return "", invalid("assignPublicIp %.50q is not ENABLED or DISABLED.", in.VPC.AssignPublicIP)
	}
	return in.VPC.Subnets[0], nil
}

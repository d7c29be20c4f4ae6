package ecsapi

import (
	"context"

	"golang.org/x/time/rate"
)

// How many calls may go out at once: half of what ECS grants an account. Source: "Request throttling for the Amazon ECS
// API" in the Amazon ECS API Reference.
const (
	modificationBurst       = 50
	resourceReadBurst       = 50
	clusterReadBurst        = 25
	taskDefinitionReadBurst = 25
)

// Limits holds one limiter for each token bucket by which ECS throttles an account.
type Limits struct {
	ClusterReads        *Limiter // DescribeClusters
	TaskDefinitionReads *Limiter // DescribeTaskDefinition
	ResourceReads       *Limiter // ListTasks, DescribeTasks
	Modifications       *Limiter // StartTask, StopTask, PutAttributes, DeleteAttributes
}

// NewLimits returns limiters that refill at these rates, in calls per second. Each of the two lookups has a bucket of
// its own.
func NewLimits(modifications, resourceReads, lookups float64) Limits {
	return Limits{
		ClusterReads:        NewLimiter(lookups, clusterReadBurst),
		TaskDefinitionReads: NewLimiter(lookups, taskDefinitionReadBurst),
		ResourceReads:       NewLimiter(resourceReads, resourceReadBurst),
		Modifications:       NewLimiter(modifications, modificationBurst),
	}
}

// Limiter spends the tokens of one bucket. A nil Limiter allows every call.
type Limiter struct{ bucket *rate.Limiter }

// NewLimiter returns a Limiter with a bucket of burst tokens that refills at perSecond.
func NewLimiter(perSecond float64, burst int) *Limiter {
	return &Limiter{rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// Wait takes one token. It blocks until there is one or ctx ends.
func (l *Limiter) Wait(ctx context.Context) error {
	if l == nil {
		return ctx.Err()
	}
	return l.bucket.Wait(ctx)
}

// Available returns how many calls may go out at once, most at most.
func (l *Limiter) Available(most int) int {
	if l == nil {
		return most
	}
	return max(0, min(int(l.bucket.Tokens()), most))
}

package ecssim

import "golang.org/x/time/rate"

// apiBuckets are the token buckets by which ECS throttles an account in a region: their burst, refill per second and
// actions. Source: "Request throttling for the Amazon ECS API" in the Amazon ECS API Reference; for DescribeAlarms,
// "CloudWatch service quotas" in the Amazon CloudWatch User Guide.
var apiBuckets = []struct {
	burst   int
	refill  rate.Limit
	actions []string
}{
	{100, 40, []string{
		"StartTask", "RunTask", "StopTask", "PutAttributes", "DeleteAttributes", "UpdateContainerInstancesState",
	}},
	{100, 20, []string{
		"ListTasks", "DescribeTasks", "ListContainerInstances", "DescribeContainerInstances", "ListAttributes",
	}},
	{50, 20, []string{"ListClusters", "DescribeClusters"}},
	{50, 20, []string{"DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"}},
	{9, 9, []string{"DescribeAlarms"}},
}

// apiLimits holds the bucket of each action that is limited.
type apiLimits map[string]*rate.Limiter

func newAPILimits() apiLimits {
	limits := apiLimits{}
	for _, b := range apiBuckets {
		bucket := rate.NewLimiter(b.refill, b.burst)
		for _, action := range b.actions {
			limits[action] = bucket
		}
	}
	return limits
}

// allow takes a token for a call, and reports whether there was one.
func (l apiLimits) allow(action string) bool {
	bucket := l[action]
	return bucket == nil || bucket.Allow()
}

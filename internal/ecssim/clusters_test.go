package ecssim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClusters_CreateDescribeDelete(t *testing.T) {
	w := newFixture(t, Config{})
	created, err := w.ecs.CreateCluster(w.ctx, &ecs.CreateClusterInput{
		ClusterName: aws.String("prod"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
	})
	require.NoError(t, err)
	prod := *created.Cluster.ClusterArn
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:cluster/prod", prod)
	assert.Equal(t, "ACTIVE", *created.Cluster.Status)
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances(prod, 2)
	w.StartFargateTask("prod", "web")

	out, err := w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{Clusters: []string{"prod", "nope", prod}})
	require.NoError(t, err)
	require.Len(t, out.Clusters, 2)
	assert.Equal(t, int32(2), out.Clusters[0].RegisteredContainerInstancesCount)
	assert.Equal(t, int32(1), out.Clusters[1].RunningTasksCount)
	require.Len(t, out.Failures, 1)
	assert.Equal(t, "MISSING", *out.Failures[0].Reason)
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:cluster/nope", *out.Failures[0].Arn)

	out, err = w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{})
	require.NoError(t, err)
	assert.Equal(t, "default", *out.Clusters[0].ClusterName)

	remove := func() error {
		_, err := w.ecs.DeleteCluster(w.ctx, &ecs.DeleteClusterInput{Cluster: aws.String("prod")})
		return err
	}
	require.ErrorAs(t, remove(), new(*types.ClusterContainsContainerInstancesException))
	for _, arn := range instances {
		require.NoError(t, w.RemoveInstance(arn))
	}
	require.ErrorAs(t, remove(), new(*types.ClusterContainsTasksException))
	require.NoError(t, w.KillTask(w.Tasks("prod")[0].ARN, 0))
	require.NoError(t, remove())
	require.ErrorAs(t, remove(), new(*types.ClusterNotFoundException))

	out, err = w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{Clusters: []string{"prod"}})
	require.NoError(t, err)
	assert.Equal(t, "INACTIVE", *out.Clusters[0].Status)
	_, err = w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{Cluster: &prod})
	require.ErrorAs(t, err, new(*types.ClusterNotFoundException))
	assert.Len(t, w.AddInstances("prod", 1), 1, "a deleted cluster can be created again")
}

func TestClusters_AreNamedByNameOrARN(t *testing.T) {
	w := newFixture(t, Config{})
	list := func(cluster string) error {
		_, err := w.ecs.ListContainerInstances(w.ctx, &ecs.ListContainerInstancesInput{Cluster: &cluster})
		return err
	}
	assert.NoError(t, list("default"))
	assert.NoError(t, list("arn:aws:ecs:us-east-1:123456789012:cluster/default"))
	assert.ErrorAs(t, list("nope"), new(*types.ClusterNotFoundException))
	for name, ref := range map[string]string{
		"another account":    "arn:aws:ecs:us-east-1:210987654321:cluster/default",
		"another region":     "arn:aws:ecs:eu-west-1:123456789012:cluster/default",
		"another kind":       "arn:aws:ecs:us-east-1:123456789012:task/default/0",
		"no ARN":             "arn:",
		"no name":            "a b",
		"an overlong name":   strings.Repeat("a", 256),
		"a slash in a name":  "a/b",
		"a control sequence": "a\x00b",
	} {
		assert.ErrorAs(t, list(ref), new(*types.InvalidParameterException), name)
	}
	assert.Empty(t, w.CreateCluster("a b"))
	assert.Nil(t, w.AddInstances("a b", 1))
	assert.Nil(t, w.AddInstances("arn:aws:ecs:eu-west-1:123456789012:cluster/prod", 1))
	assert.Len(t, w.AddInstances("arn:aws:ecs:us-east-1:123456789012:cluster/fresh", 1), 1)
	assert.Empty(t, w.Tasks("nope"))
	assert.Empty(t, w.Instances("a b"))
}

func TestLists_ArePaged(t *testing.T) {
	w := newFixture(t, Config{})
	for n := range 130 {
		w.CreateCluster(fmt.Sprintf("c%d", n))
	}
	pages := ecs.NewListClustersPaginator(w.ecs, &ecs.ListClustersInput{})
	var sizes []int
	seen := map[string]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.ctx)
		require.NoError(t, err)
		sizes = append(sizes, len(page.ClusterArns))
		for _, arn := range page.ClusterArns {
			seen[arn] = true
		}
	}
	assert.Equal(t, []int{100, 31}, sizes)
	assert.Len(t, seen, 131)

	for name, in := range map[string]*ecs.ListClustersInput{
		"no results":       {MaxResults: aws.Int32(0)},
		"too many results": {MaxResults: aws.Int32(101)},
		"an invalid token": {NextToken: aws.String("bm9wZQ==")},
		"no base64":        {NextToken: aws.String("%")},
	} {
		_, err := w.ecs.ListClusters(w.ctx, in)
		assert.ErrorAs(t, err, new(*types.InvalidParameterException), name)
	}
}

// A page that ends exactly with the list has no token: no client reads an empty page.
func TestLists_LastPageHasNoToken(t *testing.T) {
	w := newFixture(t, Config{})
	w.AddInstances("default", 100)
	out, err := w.ecs.ListContainerInstances(w.ctx, &ecs.ListContainerInstancesInput{})
	require.NoError(t, err)
	assert.Len(t, out.ContainerInstanceArns, 100)
	assert.Nil(t, out.NextToken)
}

package main

const apiPackage = "cluster-state-service/api"

// apiMutations break answers to clients.
var apiMutations = []mutation{
	{
		name:  "css-resource-without-value",
		bug:   "A resource without a value shows 0.",
		fixed: "0b08c37",
		edits: []edit{{
			"cluster-state-service/state/instance.go",
			"	case r.Type == \"STRINGSET\":",
			"	case r.Type == \"INTEGER\", r.Type == \"LONG\":\n		return \"0\"\n	case r.Type == \"STRINGSET\":",
		}},
		by: test("cluster-state-service/state", "TestResource_ValueFormatsByType"),
	},
	{
		name:  "css-empty-lists-left-out",
		bug:   "Empty lists, which v0.3 always sends, are null.",
		fixed: "0b08c37",
		edits: []edit{{
			apiPackage + "/encode.go",
			`	encoded := make([]*M, len(items))`,
			"	if len(items) == 0 {\n		return nil\n	}\n	encoded := make([]*M, len(items))",
		}},
		by: test(apiPackage, "TestEncodeTask_SendsEmptyLists", "TestEncodeInstance_SendsEmptyListsAndValues"),
	},
	{
		name:  "css-version-beyond-int64",
		bug:   "An entity version beyond 64 bits is accepted as another version.",
		fixed: "0b08c37",
		edits: []edit{{
			apiPackage + "/streamoptions.go",
			"	if err != nil {\n		return 0, fmt.Errorf(\"%w: %.100q\", state.ErrInvalidVersion, s)\n	}\n	return version",
			"	if err != nil && version == 0 {\n		return 0, err\n	}\n	return version",
		}},
		by: test(apiPackage, "TestParseVersion_AcceptsInt64Only"),
	},
	{
		name:  "css-clients-of-v03",
		bug:   "An operation of v0.3 has another operationId, so generated clients do not compile.",
		fixed: "0b08c37",
		edits: []edit{{
			"swagger/cluster-state-service/v1/swagger.json",
			`"operationId": "ListTasks"`,
			`"operationId": "listTasks"`,
		}},
		by: test("swagger", "TestSwagger_KeepsV03"),
	},
	{
		name: "css-unknown-filter-ignored",
		bug:  "An unknown filter is ignored, and the list returns everything.",
		edits: []edit{{
			apiPackage + "/query.go",
			`		if !slices.Contains(known, name) {`,
			`		if !slices.Contains(known, name) && name == "" {`,
		}},
		by: test(clusterStateEndToEnd, "TestContract_ListErrors"),
	},
	{
		name: "css-token-of-another-list",
		bug:  "A list accepts the page token of a list with other filters, and skips items.",
		edits: []edit{{
			apiPackage + "/query.go",
			`err != nil || string(token.List) != string(q.fingerprint(kind)) || token.After == ""`,
			`err != nil || token.After == ""`,
		}},
		by: test(clusterStateEndToEnd, "TestList_Pages"),
	},
	{
		name: "css-etag-of-old-content",
		bug:  "A list whose content has changed is answered with 304.",
		edits: []edit{{
			apiPackage + "/conditional.go",
			`	tasks := strconv.FormatUint(s.Tasks.Digest()+clusters, 36)`,
			`	tasks := strconv.FormatUint(uint64(s.Tasks.Len())+clusters, 36)`,
		}},
		by: test(clusterStateEndToEnd, "TestConditional_AnswersNotModifiedUntilTheContentChanges"),
	},
	{
		name: "css-change-leaves-filter",
		bug:  "A stream with a filter does not show that an entity has left the filter.",
		edits: []edit{{
			apiPackage + "/changetype.go",
			"	case before:\n		return deleted",
			"	case before && c.Deleted:\n		return deleted",
		}},
		by: test(apiPackage, "TestChangeType_ComparesTheEntityBeforeAndAfterWithTheFilter"),
	},
	{
		name: "css-equal-names-in-filter",
		bug:  "A filter by a cluster's ARN also matches the cluster with that name in another account.",
		edits: []edit{{
			"cluster-state-service/state/filter.go",
			`matchesValue(f.Name, key.Cluster) && (f.ARN == "" || f.ARN == key.ClusterARN())`,
			`matchesValue(f.Name, key.Cluster)`,
		}},
		by: test("cluster-state-service/state", "TestClusterFilter_MatchesNameOrARN"),
	},
	{
		name: "css-ecs-outage-unexpected",
		bug:  "A refresh answers 500 if ECS throttles it or does not respond.",
		edits: []edit{{
			reconcilePackage + "/refresh.go",
			`fmt.Errorf("refresh %d instances: %w", len(arns), r.ecsError(err))`,
			`fmt.Errorf("refresh %d instances: %w", len(arns), err)`,
		}},
		by: test(clusterStateEndToEnd, "TestRefresh_ReportsWhyECSDoesNotDescribe"),
	},
	{
		name:  "css-redirect-loses-prefix",
		bug:   "A redirect leaves the path prefix of a proxy.",
		fixed: "7a3c173",
		edits: []edit{{
			"internal/httpserver/cleanpath.go",
			`redirect(w, r, relativePath(escaped, clean))`,
			`redirect(w, r, clean)`,
		}},
		by: test("internal/httpserver", "TestRedirectToCleanPath_Redirects"),
	},
}

package main

const informerPackage = "cluster-state-service/informer"

// informerMutations break the copy of a client.
var informerMutations = []mutation{
	{
		name: "css-informer-takes-older-lines",
		bug:  "A line of a resumed stream replaces a newer record of the informer.",
		edits: []edit{{
			informerPackage + "/records.go",
			`held == nil && line.deleted || held != nil && held.version >= line.version {`,
			`held == nil && line.deleted {`,
		}},
		by: test(informerPackage, "TestInformer_IgnoresLinesThatAreNotNewer"),
	},
	{
		name: "css-informer-uses-half-lines",
		bug:  "The informer decodes the incomplete last line of a broken stream.",
		edits: []edit{{
			informerPackage + "/follow.go",
			`	lines.Split(wholeLines)`,
			`	lines.Split(bufio.ScanLines)`,
		}},
		by: test(informerPackage, "TestInformer_ResumesBrokenStream"),
	},
	{
		name:  "css-informer-unreconciled-region",
		bug:   "The clusters of a region that was never reconciled count as empty.",
		fixed: "0b08c37",
		edits: []edit{{
			informerPackage + "/records.go",
			`return !c.notReconciled[clusterARN] && !c.notReconciled[clusterARN[:name]+"*"]`,
			`return !c.notReconciled[clusterARN] && !c.notReconciled[clusterARN[:name]]`,
		}},
		by: test(informerPackage, "TestInformer_TreatsNoClusterOfARegionThatWasNeverReconciledAsEmpty"),
	},
	{
		name:  "css-informer-of-v03",
		bug:   "An informer of a cluster-state-service of v0.3 does not name the upgrade that is missing.",
		fixed: "0b08c37",
		edits: []edit{{
			informerPackage + "/list.go",
			`		return nil, metadata, errTooOld`,
			`		return nil, metadata, errNoIdentity`,
		}},
		by: test(informerPackage, "TestInformer_ReportsAServiceThatIsTooOld"),
	},
	{
		name: "css-informer-audit-without-malformed",
		bug:  "The audit counts a malformed record as a difference, and lists again at each audit.",
		edits: []edit{{
			informerPackage + "/audit.go",
			"	for arn, version := range c.audit.malformed {\n		sum.Add(arn, version)\n	}\n",
			"",
		}},
		by: test(informerPackage, "TestInformer_CountsMalformedRecordsInTheDigest"),
	},
	{
		name: "css-informer-silent-replica",
		bug:  "The informer waits for ever for a replica that sends nothing.",
		edits: []edit{{
			informerPackage + "/get.go",
			`timeout: m.readTimeout}`,
			`timeout: time.Hour}`,
		}},
		by: test(informerPackage, "TestInformer_LeavesSilentReplica"),
	},
	{
		name: "css-informer-misses-deletions",
		bug:  "The informer does not report the records that were deleted before it listed again.",
		edits: []edit{{
			informerPackage + "/records.go",
			`		if byARN[arn] == nil {`,
			`		if byARN[arn] == nil && arn == "" {`,
		}},
		by: test(informerPackage, "TestInformer_ReportsMissedDeletions"),
	},
	{
		name: "css-informer-never-lists-again",
		bug:  "The informer resumes a stream that cannot be resumed, for ever.",
		edits: []edit{{
			informerPackage + "/follow.go",
			`		if errors.Is(err, errRelist) {`,
			`		if false {`,
		}},
		by: test(informerPackage, "TestInformer_ListsAgainIfItCannotResume"),
	},
	{
		name: "css-informer-audit-skipped",
		bug:  "The informer never compares its copy with the service.",
		edits: []edit{{
			informerPackage + "/audit.go",
			`	if want == "" || time.Now().Before(f.auditAt) {`,
			`	if want == "" || time.Now().Before(f.auditAt) || true {`,
		}},
		by: test(informerPackage, "TestInformer_RepairsACopyThatDiffers"),
	},
}

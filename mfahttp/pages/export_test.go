package pages

// Keys and Embedded are for the tests of templates and catalogues.
var (
	Keys     = keys
	Embedded = files
)

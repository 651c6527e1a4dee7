package web

// NewFrom is New with other shared files: as if npm had not run.
var NewFrom = newFrom

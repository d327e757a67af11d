// Before the first paint: the colour scheme and language that were chosen, or the system's.
(function () {
  var scheme = null;
  try {
    scheme = localStorage.getItem('queuemgr.scheme');
  } catch (e) {} // storage may be forbidden; the system's scheme is right then
  if (scheme !== 'light' && scheme !== 'dark') {
    scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  }
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();

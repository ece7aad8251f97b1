// What the browser keeps: for this tab, or from visit to visit. Some browsers are told to keep nothing.

function kept(storage) {
  const safely = (work) => {
    try {
      return work(globalThis[storage]);
    } catch {
      return null;
    }
  };
  return {
    get: (name) => safely((store) => store.getItem(name)),
    set: (name, text) => safely((store) => store.setItem(name, text)),
    remove: (name) => safely((store) => store.removeItem(name)),
  };
}

export const tab = kept("sessionStorage");
export const device = kept("localStorage");
